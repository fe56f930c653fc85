//! The parameters of an action, each asked for by name; a wrong type is a fault that names it. What nobody asks for is left
//! alone, because official tools send fields that no action declares (contract 12.3).

use serde_json::{Map, Value};

use crate::api::tencent::fault::Fault;

/// An object of parameters. From a form or a query every leaf is a string, so numbers and truths are understood as such too.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(pub(super) Map<String, Value>);

impl Params {
    /// A value that is there; `null` counts as absent.
    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether it is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The value as it came.
    pub(super) fn raw(&self, name: &str) -> Option<&Value> {
        self.value(name)
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "string")),
        }
    }

    /// A text that says something.
    pub(super) fn said(&self, name: &str) -> Result<Option<&str>, Fault> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// A text that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Fault> {
        self.text(name)?.ok_or_else(|| Fault::missing("MissingParameter", name))
    }

    /// A whole number.
    pub(super) fn whole(&self, name: &str) -> Result<Option<i64>, Fault> {
        let parse = |value: &Value| match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        self.value(name).map(|value| parse(value).ok_or_else(|| wrong(name, "integer"))).transpose()
    }

    /// A whole number of zero or more that is not too large for us to count by.
    pub(super) fn count(&self, name: &str) -> Result<Option<u32>, Fault> {
        let fits = |number: i64| {
            u32::try_from(number)
                .map_err(|_| Fault::new("InvalidParameterValue", format!("{name} must be 0 to {}", u32::MAX)))
        };
        self.whole(name)?.map(fits).transpose()
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Fault> {
        let parse = |value: &Value| match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        self.value(name).map(|value| parse(value).ok_or_else(|| wrong(name, "float"))).transpose()
    }

    /// A truth, in any of the ways the API writes one (contract 6.0).
    pub(super) fn truth(&self, name: &str) -> Result<Option<bool>, Fault> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let word = match value {
            Value::Bool(truth) => return Ok(Some(*truth)),
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.to_ascii_uppercase(),
            _ => return Err(wrong(name, "boolean")),
        };
        match word.as_str() {
            "TRUE" | "1" | "ENABLE" | "OPEN" => Ok(Some(true)),
            "FALSE" | "0" | "DISABLE" | "CLOSE" | "" => Ok(Some(false)),
            _ => Err(wrong(name, "boolean")),
        }
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<Option<Params>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Params(fields.clone()))),
            Some(_) => Err(wrong(name, "object")),
        }
    }

    /// A list of objects.
    pub(super) fn objects(&self, name: &str) -> Result<Option<Vec<Params>>, Fault> {
        let Some(items) = self.list(name)? else { return Ok(None) };
        let object = |item: &Value| match item {
            Value::Object(fields) => Ok(Params(fields.clone())),
            _ => Err(wrong(name, "list of objects")),
        };
        items.iter().map(object).collect::<Result<_, _>>().map(Some)
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, Fault> {
        let Some(items) = self.list(name)? else { return Ok(None) };
        let text = |item: &'_ Value| match item {
            Value::String(_) => Ok(()),
            _ => Err(wrong(name, "list of strings")),
        };
        items.iter().try_for_each(text)?;
        Ok(Some(items.iter().filter_map(Value::as_str).collect()))
    }

    fn list(&self, name: &str) -> Result<Option<&Vec<Value>>, Fault> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(wrong(name, "list")),
        }
    }
}

fn wrong(name: &str, kind: &str) -> Fault {
    Fault::new("InvalidParameter", format!("The value type of parameter `{name}` is not {kind}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Params {
        Params(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn numbers_and_truths_come_as_texts_too() {
        let params =
            params(r#"{"a":7,"b":"7","c":"0.5","d":true,"e":"TRUE","f":"close","g":0,"h":null,"i":""}"#);
        assert_eq!((params.whole("a").unwrap(), params.whole("b").unwrap()), (Some(7), Some(7)));
        assert_eq!(params.number("c").unwrap(), Some(0.5));
        let truths = ["d", "e", "f", "g", "h", "i"].map(|name| params.truth(name).unwrap());
        assert_eq!(truths, [Some(true), Some(true), Some(false), Some(false), None, Some(false)]);
        assert!(!params.has("h") && params.has("i"));
    }

    #[test]
    fn a_wrong_type_is_named() {
        let params = params(r#"{"a":"x","b":1,"c":[1],"d":{},"e":-1,"f":"maybe"}"#);
        let told = |fault: Fault| format!("{} {}", fault.code, fault.message);
        let whole = told(params.whole("a").unwrap_err());
        assert_eq!(whole, "InvalidParameter The value type of parameter `a` is not integer.");
        assert!(told(params.text("b").unwrap_err()).ends_with("`b` is not string."));
        assert!(told(params.texts("c").unwrap_err()).ends_with("`c` is not list of strings."));
        assert!(told(params.objects("c").unwrap_err()).ends_with("`c` is not list of objects."));
        assert!(told(params.objects("d").unwrap_err()).ends_with("`d` is not list."));
        assert!(told(params.truth("f").unwrap_err()).ends_with("`f` is not boolean."));
        assert!(params.count("e").unwrap_err().message.starts_with("e must be 0 to"));
        let missing = told(params.needed("x").unwrap_err());
        assert_eq!(missing, "MissingParameter The request is missing a required parameter `x`.");
    }
}
