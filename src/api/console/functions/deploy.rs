//! A deploy of something that is deployed: everything is said again, but for what changes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::api::console::client::{JSON, Target};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::rest::functions::FIELDS;
use crate::instance::package::{self, pack};

/// What a function is deployed with, but for its code; by the names of `/v1`.
#[derive(Clone, Debug)]
pub(super) struct Settings(Map<String, Value>);

impl Settings {
    /// Those of somebody new.
    pub(super) fn new(runtime: &str, handler: &str) -> Settings {
        Settings(Map::from_iter(
            [("runtime", runtime), ("handler", handler)].map(|(k, v)| (k.to_owned(), v.into())),
        ))
    }

    /// Those of the function that the path names.
    pub(super) fn of(visit: &Visit<'_>) -> Result<Settings, Problem> {
        let mut shown: Map<String, Value> = visit.v1.get(&visit.api(&["functions", visit.part(0)]))?;
        shown.retain(|name, _| FIELDS.contains(&name.as_str()));
        Ok(Settings(shown))
    }

    /// A value as text; empty where there is none.
    pub(super) fn text(&self, name: &str) -> String {
        match self.0.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// A value as it is.
    pub(super) fn value(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// Sets a value; `null` is none.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// Deploys an archive with them.
    pub(super) fn deploy(mut self, visit: &Visit<'_>, name: &str, archive: &[u8]) -> Result<(), Problem> {
        self.set("code", json!({ "zip_base64": STANDARD.encode(archive) }));
        visit.v1.put_json("PUT", &place(visit, name), &self.0).map(drop)
    }

    /// Deploys files with them.
    pub(super) fn deploy_files(
        mut self,
        visit: &Visit<'_>,
        name: &str,
        files: &[(&str, &str)],
    ) -> Result<(), Problem> {
        let files: Map<String, Value> =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).into())).collect();
        self.set("code", json!({ "files": files }));
        visit.v1.put_json("PUT", &place(visit, name), &self.0).map(drop)
    }
}

fn place(visit: &Visit<'_>, name: &str) -> Target {
    visit.api(&["functions", name])
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
