//! One request that was let in, and what is answered.

use serde_json::{Map, Value};

use crate::api::Parts;
use crate::api::tencent::download::Links;
use crate::api::tencent::fault::Fault;
use crate::api::tencent::params::Params;
use crate::base::id::RequestId;
use crate::model::function::{FunctionName, Namespace};

/// What an action's function is given.
pub(super) struct Call<'a> {
    pub(super) parts: &'a Parts,
    pub(super) links: &'a Links,
    pub(super) params: &'a Params,
    /// Where the caller found us, for links.
    pub(super) host: &'a str,
}

/// What an action answers.
#[derive(Default)]
pub(super) struct Reply {
    pub(super) fields: Map<String, Value>,
    /// The id of the request, where it is that of a run.
    pub(super) request_id: Option<RequestId>,
    /// To be called once the answer has gone out.
    pub(super) after: Option<Box<dyn FnOnce() + Send>>,
}

impl Reply {
    /// Nothing but that it is done.
    pub(super) fn done() -> Reply {
        Reply::default()
    }

    /// These fields; `fields` is a JSON object.
    pub(super) fn of(fields: Value) -> Reply {
        let Value::Object(fields) = fields else { return Reply::default() };
        Reply { fields, ..Reply::default() }
    }
}

/// A page as the API asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

/// Rows of a page unless asked otherwise (contract 6.0).
const LIMIT_DEFAULT: u32 = 20;

impl Window {
    /// The rows of that page.
    pub(super) fn cut<T>(self, rows: Vec<T>) -> Vec<T> {
        rows.into_iter().skip(self.offset).take(self.limit).collect()
    }
}

impl Call<'_> {
    /// The namespace asked in; it must be there.
    pub(super) fn namespace(&self) -> Result<Namespace, Fault> {
        self.namespace_at("Namespace")
    }

    /// The namespace named by that parameter; it must be there.
    pub(super) fn namespace_at(&self, name: &str) -> Result<Namespace, Fault> {
        let Some(text) = self.params.said(name)? else { return Ok(Namespace::default()) };
        let namespace = Namespace::parse(text)?;
        // The one that is always there is what nearly everybody asks in.
        if namespace != Namespace::default() {
            self.parts.namespaces.check(&namespace)?;
        }
        Ok(namespace)
    }

    /// The function named by `FunctionName`.
    pub(super) fn function(&self) -> Result<FunctionName, Fault> {
        Ok(FunctionName::parse(self.params.needed("FunctionName")?)?)
    }

    /// Both names.
    pub(super) fn names(&self) -> Result<(Namespace, FunctionName), Fault> {
        let name = self.function()?;
        Ok((self.namespace()?, name))
    }

    /// The page asked for, of at most `most` rows.
    pub(super) fn window(&self, most: u32) -> Result<Window, Fault> {
        let offset = self.place("Offset", "InvalidParameterValue.Offset")?.unwrap_or(0);
        let limit = self.place("Limit", "InvalidParameterValue.Limit")?.unwrap_or(LIMIT_DEFAULT);
        if limit > most {
            let sentence = format!("Limit must be at most {most}");
            return Err(Fault::new("InvalidParameterValue.Limit", sentence));
        }
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Window { offset: size(offset), limit: size(limit) })
    }

    fn place(&self, name: &str, code: &'static str) -> Result<Option<u32>, Fault> {
        self.params.count(name).map_err(|fault| Fault::new(code, fault.message))
    }

    /// Whether `Order` says that rows go down; `down` where it says nothing.
    pub(super) fn goes_down(&self, down: bool) -> Result<bool, Fault> {
        match self.params.said("Order")?.map(str::to_ascii_uppercase).as_deref() {
            None => Ok(down),
            Some("ASC") => Ok(false),
            Some("DESC") => Ok(true),
            Some(_) => Err(Fault::new("InvalidParameterValue.Order", "Order must be ASC or DESC")),
        }
    }
}
