//! Functions to deploy: from text in a test, or from the folders of `tests/functions`.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

/// The body of a deploy.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    files: Map<String, Value>,
    fields: Map<String, Value>,
}

/// A function whose `index.py` is this text.
pub(crate) fn source(text: &str) -> Function {
    written_in("Python3.10", "index.py", text)
}

/// A function of that runtime whose one file is this text.
pub(crate) fn written_in(runtime: &str, file: &str, text: &str) -> Function {
    let fields = Map::from_iter([
        ("runtime".to_owned(), json!(runtime)),
        ("handler".to_owned(), json!("index.main_handler")),
    ]);
    Function { files: Map::new(), fields }.file(file, text)
}

/// A function whose handler is this one expression of `event` and `context`.
pub(crate) fn expression(text: &str) -> Function {
    source(&format!("def main_handler(event, context):\n    return {text}\n"))
}

/// The function in that folder of `tests/functions/python`.
pub(crate) fn folder(name: &str) -> Function {
    let files = fs::read_dir(folder_path(name)).unwrap().map(|entry| entry.unwrap().path());
    let code = files.filter(|path| path.extension().is_some_and(|kind| kind == "py"));
    code.fold(source(""), |function, path| {
        let file = path.file_name().unwrap().to_str().unwrap();
        function.file(file, &fs::read_to_string(&path).unwrap())
    })
}

/// Where that folder is.
pub(crate) fn folder_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/functions/python").join(name)
}

impl Function {
    /// Adds or replaces a file.
    pub(crate) fn file(mut self, path: &str, text: &str) -> Function {
        self.files.insert(path.to_owned(), text.into());
        self
    }

    /// What that file holds.
    pub(crate) fn text(&self, path: &str) -> String {
        self.files[path].as_str().unwrap().to_owned()
    }

    /// Sets a field of the deploy's body.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Function {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// Sets a field that is not set.
    pub(crate) fn or(mut self, field: &str, value: impl Into<Value>) -> Function {
        self.fields.entry(field).or_insert_with(|| value.into());
        self
    }

    /// The body.
    pub(crate) fn body(&self) -> String {
        let mut body = self.fields.clone();
        body.entry("code").or_insert_with(|| json!({ "files": self.files }));
        Value::Object(body).to_string()
    }
}
