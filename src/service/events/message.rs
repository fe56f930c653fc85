//! A dead letter as the cloud's message (contract 4.5), for the function that is told of it.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::model::invocation::{Record, Source};
use crate::service::events::Account;

/// The message about an event that was given up, JSON.
pub(super) fn of(record: &Record, account: &Account) -> Vec<u8> {
    let message = json!({
        "RequestId": record.request_id.as_str(),
        "ErrorCode": -1,
        "ErrorMessage": error_message(record),
        "Body": {
            "AppId": account.appid.parse::<u64>().unwrap_or(0),
            "Uin": account.uin,
            "SubAccountUin": account.uin,
            "RequestSource": request_source(&record.source),
            "FunctionName": record.function,
            "Namespace": record.namespace,
            "Qualifier": record.qualifier,
            "InvocationType": "Event",
            "ClientContext": String::from_utf8_lossy(&record.event),
            "LogType": "",
            "TimeStampForInvoker": (record.created_us / 1000).to_string(),
            "RequestId": record.request_id.as_str(),
            "PushTime": push_time(record.ended_us),
            "RetryNum": record.retry_num,
            "Ttl": 0,
        },
    });
    message.to_string().into_bytes()
}

/// What sent the event, as the cloud writes it: `TRIGGER_TIMER`.
fn request_source(source: &str) -> String {
    let is_trigger = Source::parse(source).is_some_and(Source::is_trigger);
    format!("{}{}", if is_trigger { "TRIGGER_" } else { "" }, source.to_ascii_uppercase())
}

/// The trace where there is one, else the sentence.
fn error_message(record: &Record) -> String {
    let body = serde_json::from_slice::<Value>(&record.result).unwrap_or_default();
    let trace = body.get("stackTrace").and_then(Value::as_str).unwrap_or_default();
    if trace.is_empty() { record.error.clone() } else { trace.to_owned() }
}

/// The cloud writes these in Beijing's time.
fn push_time(at_us: i64) -> String {
    let there_us = at_us.saturating_add(8 * 3_600_000_000);
    let there = Timestamp::from_microsecond(there_us).unwrap_or(Timestamp::UNIX_EPOCH);
    there.strftime("%Y-%m-%dT%H:%M:%S.%9f+08:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trigger_sent_says_so() {
        let sources = ["rest", "timer", "cos", "dead-letter"].map(request_source);
        assert_eq!(sources, ["REST", "TRIGGER_TIMER", "TRIGGER_COS", "DEAD-LETTER"]);
    }

    #[test]
    fn beijing_is_eight_hours_ahead() {
        assert_eq!(push_time(1_602_292_920_061_824), "2020-10-10T09:22:00.061824000+08:00");
    }
}
