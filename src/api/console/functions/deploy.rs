//! A deploy of something that is deployed: everything is said again, but for what changes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::api::console::client::JSON;
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::rest::functions::FIELDS;
use crate::instance::package::{self, pack};

/// The field of a form that says which deploy it was made from.
const OF: &str = "of";

/// What a function is deployed with, but for its code; by the names of `/v1`.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    fields: Map<String, Value>,
    /// Which deploy these are of; none of somebody new.
    tag: Option<String>,
}

impl Settings {
    /// Those of somebody new.
    pub(super) fn new(runtime: &str, handler: &str) -> Settings {
        let fields = [("runtime", runtime), ("handler", handler)];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Settings { fields, tag: None }
    }

    /// Those of the function that the path names. What else is read of it is to be read afterwards: then a deploy of these that
    /// succeeds undoes nobody's.
    pub(super) fn of(visit: &Visit<'_>) -> Result<Settings, Problem> {
        let place = visit.api(&["functions", visit.part(0)]);
        let answer = visit.v1.send("GET", &place, JSON, Vec::new())?;
        let mut fields: Map<String, Value> = answer.json()?;
        fields.retain(|name, _| FIELDS.contains(&name.as_str()));
        Ok(Settings { fields, tag: Some(answer.header("ETag").to_owned()) })
    }

    /// Those, for a form that was made from them; what was deployed since is not written over unasked.
    pub(super) fn of_form(visit: &Visit<'_>) -> Result<Settings, Problem> {
        let settings = Settings::of(visit)?;
        let is_stale = visit.form.has(OF) && Some(visit.form.text(OF)) != settings.tag.as_deref();
        if is_stale { Err(settings.unlike(visit.part(0))) } else { Ok(settings) }
    }

    /// What a form made from these carries along.
    pub(super) fn mark(&self) -> Markup {
        html! { input type="hidden" name=(OF) value=(self.tag.as_deref().unwrap_or_default()); }
    }

    /// A value as text; empty where there is none.
    pub(super) fn text(&self, name: &str) -> String {
        match self.fields.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// A value as it is.
    pub(super) fn value(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or(&Value::Null)
    }

    /// Sets a value; `null` is none.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// Deploys an archive with them.
    pub(super) fn deploy(self, visit: &Visit<'_>, name: &str, archive: &[u8]) -> Result<(), Problem> {
        self.send(visit, name, json!({ "zip_base64": STANDARD.encode(archive) }))
    }

    /// Deploys files with them.
    pub(super) fn deploy_files(
        self,
        visit: &Visit<'_>,
        name: &str,
        files: &[(&str, &str)],
    ) -> Result<(), Problem> {
        let files: Map<String, Value> =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).into())).collect();
        self.send(visit, name, json!({ "files": files }))
    }

    fn send(mut self, visit: &Visit<'_>, name: &str, code: Value) -> Result<(), Problem> {
        if name.is_empty() {
            return Err(Problem::new(400, "The function needs a name."));
        }
        self.set("code", code);
        let only = self.tag.as_deref().map_or(("If-None-Match", "*"), |tag| ("If-Match", tag));
        let done = visit.v1.put_only(&visit.api(&["functions", name]), only, &self.fields);
        done.map(drop).map_err(|problem| if problem.status == 412 { self.unlike(name) } else { problem })
    }

    /// It is not any more as it was when these were read.
    fn unlike(&self, name: &str) -> Problem {
        let sentence = match self.tag {
            None => {
                format!("There is a function {name} already: open it and edit it, or choose another name.")
            }
            Some(_) => "Somebody has deployed this function since this page was opened. Saving again writes what is below over \
                        theirs; to see theirs first, open the page in another window."
                .to_owned(),
        };
        Problem::new(409, sentence)
    }
}

/// The archive of the function that the path names.
pub(super) fn archive(visit: &Visit<'_>) -> Result<Vec<u8>, Problem> {
    let code = visit.api(&["functions", visit.part(0), "code"]);
    Ok(visit.v1.send("GET", &code, JSON, Vec::new())?.bytes)
}

/// The files of an archive, if they are small enough together.
pub(super) fn files(
    archive: &[u8],
    bytes_max: u64,
) -> Result<Option<BTreeMap<String, pack::Source>>, Problem> {
    Ok(package::sources(archive, bytes_max)?)
}
