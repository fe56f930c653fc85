//! The routing key as callers write it: a JSON object of names and values (contract 6.2, 6.7).

use serde_json::{Map, Value};

use crate::error::{About, Error, Result};
use crate::model::alias::RoutingKey;
use crate::model::limits;

/// Reads a routing key. Its values are to be strings; numbers, which the cloud's guide shows, are taken as they are written.
pub(crate) fn parse(text: &str) -> Result<RoutingKey> {
    let wrong =
        |why: String| Error::invalid(format!("the routing key must be {why}")).about(About::RoutingKey);
    if text.len() > limits::ROUTING_KEY_BYTES_MAX {
        return Err(wrong(format!("at most {} bytes", limits::ROUTING_KEY_BYTES_MAX)));
    }
    let object: Map<String, Value> = serde_json::from_str(text)
        .map_err(|_| wrong("a JSON object of strings: {\"User\":\"Bob\"}".to_owned()))?;
    let pair = |(key, value)| match value {
        Value::String(value) => Ok((key, value)),
        Value::Number(value) => Ok((key, value.to_string())),
        _ => Err(wrong(format!("a JSON object of strings, which {key} is not"))),
    };
    object.into_iter().map(pair).collect::<Result<_>>().map(RoutingKey)
}
