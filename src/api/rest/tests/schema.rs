//! As much of JSON Schema as our description uses; anything else in it fails the test that meets it.

use serde_json::{Map, Value};

/// Checks `value` against `schema`, whose references are resolved in `document`.
pub(super) fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = schema.as_object().ok_or_else(|| format!("{at}: no schema"))?;
    for (keyword, rule) in schema {
        keyword_holds(document, schema, keyword, rule, value, at)?;
    }
    Ok(())
}

fn keyword_holds(
    document: &Value,
    schema: &Map<String, Value>,
    keyword: &str,
    rule: &Value,
    value: &Value,
    at: &str,
) -> Result<(), String> {
    let fails = |why: String| Err(format!("{at}: {why}"));
    match keyword {
        "description" | "examples" | "default" | "contentEncoding" | "contentMediaType" => Ok(()),
        "minimum" | "maximum" | "minLength" | "maxLength" | "pattern" => Ok(()),
        "$ref" => {
            let pointer = rule.as_str().and_then(|text| text.strip_prefix('#')).unwrap_or_default();
            let target = document.pointer(pointer).ok_or_else(|| format!("{at}: {rule} leads nowhere"))?;
            check(document, target, value, at)
        }
        "allOf" => rule.as_array().unwrap().iter().try_for_each(|part| check(document, part, value, at)),
        "type" => {
            let types: Vec<&str> = match rule {
                Value::String(one) => vec![one],
                several => several.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect(),
            };
            if types.contains(&type_of(value)) { Ok(()) } else { fails(format!("{value} is not {types:?}")) }
        }
        "enum" if rule.as_array().unwrap().contains(value) => Ok(()),
        "enum" => fails(format!("{value} is none of {rule}")),
        "required" => {
            let missing =
                rule.as_array().unwrap().iter().find(|name| value.get(name.as_str().unwrap()).is_none());
            missing.map_or(Ok(()), |name| fails(format!("{name} is missing")))
        }
        "properties" => fields(value)
            .filter_map(|(name, field)| Some((name, rule.get(name)?, field)))
            .try_for_each(|(name, schema, field)| check(document, schema, field, &format!("{at}.{name}"))),
        "additionalProperties" => {
            let known = schema.get("properties").and_then(Value::as_object);
            let mut others =
                fields(value).filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)));
            match rule {
                Value::Bool(false) => {
                    others.next().map_or(Ok(()), |(name, _)| fails(format!("{name} is unknown")))
                }
                rule => {
                    others.try_for_each(|(name, field)| check(document, rule, field, &format!("{at}.{name}")))
                }
            }
        }
        "items" => {
            let items = value.as_array().into_iter().flatten();
            items.into_iter().try_for_each(|item| check(document, rule, item, &format!("{at}[]")))
        }
        other => fails(format!("this test does not know {other}")),
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, field)| (name.as_str(), field))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
