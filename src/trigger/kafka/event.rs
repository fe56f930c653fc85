//! The event that a batch of messages becomes (triggers 3.1), as bytes. Pure.
//!
//! A message without a key has the key `None`, as the cloud writes it; one without a body has an empty one. What is no UTF-8
//! comes with the usual sign for what cannot be read in its place; where bodies are no text, the trigger has them in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEFORE: &[u8] = br#"{"Records":["#;
const AFTER: &[u8] = b"]}";

/// Bytes of an event beyond its records and the commas between them.
pub(super) const ENVELOPE_BYTES: usize = BEFORE.len() + AFTER.len();

/// A message as it was fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetched<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) body: Option<&'a [u8]>,
}

/// The record of one message.
pub(super) fn record(message: &Fetched<'_>, is_base64: bool) -> Vec<u8> {
    let Fetched { topic, partition, offset, key, body } = message;
    let body = body.unwrap_or_default();
    let mut json = Vec::with_capacity(120 + body.len() + body.len() / 8);
    json.extend_from_slice(br#"{"Ckafka":{"topic":"#);
    text(&mut json, topic);
    json.extend_from_slice(format!(r#","partition":{partition},"offset":{offset},"msgKey":"#).as_bytes());
    text(&mut json, &key.map_or("None".into(), String::from_utf8_lossy));
    json.extend_from_slice(br#","msgBody":"#);
    if is_base64 {
        text(&mut json, &STANDARD.encode(body));
    } else {
        text(&mut json, &String::from_utf8_lossy(body));
    }
    json.extend_from_slice(b"}}");
    json
}

/// The event of those records.
pub(super) fn of<'a>(records: impl ExactSizeIterator<Item = &'a [u8]>, bytes: usize) -> Vec<u8> {
    let mut event = Vec::with_capacity(ENVELOPE_BYTES + bytes + records.len());
    event.extend_from_slice(BEFORE);
    for (number, record) in records.enumerate() {
        if number > 0 {
            event.push(b',');
        }
        event.extend_from_slice(record);
    }
    event.extend_from_slice(AFTER);
    event
}

/// A string of JSON.
fn text(json: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(json, text).expect("a text can be written into memory");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(messages: &[Fetched<'_>], is_base64: bool) -> Value {
        let records: Vec<_> = messages.iter().map(|message| record(message, is_base64)).collect();
        let bytes = of(records.iter().map(Vec::as_slice), records.iter().map(Vec::len).sum());
        serde_json::from_slice(&bytes).unwrap()
    }

    fn message<'a>(offset: i64, key: Option<&'a [u8]>, body: Option<&'a [u8]>) -> Fetched<'a> {
        Fetched { topic: "engines", partition: 2, offset, key, body }
    }

    /// The values are ours; fields, their order and their types are those of the cloud's event.
    #[test]
    fn the_event_is_the_clouds_field_by_field() {
        let messages =
            [message(7, Some(b"engine-1"), Some(br#"{"rpm":900}"#)), message(8, None, Some(b"stopped"))];
        let expected = r#"{"Records":[{"Ckafka":{"topic":"engines","partition":2,"offset":7,"msgKey":"engine-1","msgBody":"{\"rpm\":900}"}},{"Ckafka":{"topic":"engines","partition":2,"offset":8,"msgKey":"None","msgBody":"stopped"}}]}"#;
        let records = messages.each_ref().map(|message| record(message, false));
        let bytes = of(records.iter().map(Vec::as_slice), records.iter().map(Vec::len).sum());
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
        assert_eq!(bytes.len(), ENVELOPE_BYTES + records.iter().map(Vec::len).sum::<usize>() + 1);
    }

    #[test]
    fn bodies_are_text_or_base64() {
        let body = "line\n\"ä\"\u{1}".as_bytes();
        let messages = [
            message(0, Some(b"\xff"), Some(body)),
            message(1, None, Some(b"\xfe\x00")),
            message(2, None, None),
        ];
        let of = |is_base64| {
            event(&messages, is_base64)["Records"]
                .as_array()
                .unwrap()
                .iter()
                .map(|record| record["Ckafka"]["msgBody"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(false), [json!("line\n\"ä\"\u{1}"), json!("\u{fffd}\0"), json!("")]);
        assert_eq!(of(true)[1..], [json!("/gA="), json!("")]);
        assert_eq!(event(&messages, false)["Records"][0]["Ckafka"]["msgKey"], json!("\u{fffd}"));
    }
}
