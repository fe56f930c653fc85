//! What a trigger waits for as it is stored: a JSON object with the fields of its kind, which the view shows as it is.

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::model::cron::Cron;
use crate::model::schedule::Zone;
use crate::model::trigger::{Apigw, Ckafka, Cors, Cos, Http, Kind, Spec, Timer};
use crate::store::fault;

/// The text to store, which is also what the view `triggers` shows.
pub fn text(spec: &Spec) -> String {
    let value = match spec {
        Spec::Timer(timer) => {
            json!({ "cron": timer.cron.as_str(), "zone": timer.zone.as_ref().map(Zone::as_str) })
        }
        Spec::Http(http) => json!({
            "url_id": http.url_id,
            "is_signed": http.is_signed,
            "intranet": http.intranet,
            "extranet": http.extranet,
            "cors": http.cors.as_ref().map(cors),
        }),
        Spec::Apigw(apigw) => json!({
            "service": apigw.service,
            "environment": apigw.environment,
            "path": apigw.path,
            "method": apigw.method,
            "auth_required": apigw.auth_required,
            "is_integrated": apigw.is_integrated,
            "is_base64": apigw.is_base64,
            "enables_cors": apigw.enables_cors,
        }),
        Spec::Cos(cos) => json!({ "event": cos.event, "prefix": cos.prefix, "suffix": cos.suffix }),
        Spec::Ckafka(ckafka) => json!({
            "max_msg_num": ckafka.max_msg_num,
            "offset": ckafka.offset,
            "retry": ckafka.retry,
            "timeout_s": ckafka.timeout_s,
            "consumer_group": ckafka.consumer_group,
            "brokers": ckafka.brokers,
            "topic": ckafka.topic,
            "is_base64": ckafka.is_base64,
        }),
    };
    value.to_string()
}

fn cors(cors: &Cors) -> Value {
    json!({
        "origins": cors.origins,
        "headers": cors.headers,
        "methods": cors.methods,
        "expose_headers": cors.expose_headers,
        "max_age_s": cors.max_age_s,
        "credentials": cors.credentials,
    })
}

/// What was stored for a trigger of that kind.
pub(super) fn read(kind: &str, text: &str) -> Result<Spec> {
    let value: Value = serde_json::from_str(text).map_err(|_| fault::unreadable("trigger"))?;
    let stored = value.as_object().map(Stored);
    let spec = stored.and_then(|stored| stored.spec(Kind::parse(kind).ok()?));
    spec.ok_or_else(|| fault::unreadable("trigger"))
}

/// Fields as they were stored; nothing where one is missing or of another type.
struct Stored<'a>(&'a Map<String, Value>);

impl Stored<'_> {
    fn spec(&self, kind: Kind) -> Option<Spec> {
        Some(match kind {
            Kind::Timer => Spec::Timer(Timer {
                cron: Cron::parse(&self.text("cron")?).ok()?,
                zone: match self.0.get("zone") {
                    Some(Value::String(zone)) => Some(Zone::parse(zone).ok()?),
                    _ => None,
                },
            }),
            Kind::Http => Spec::Http(Http {
                url_id: self.text("url_id").unwrap_or_default(),
                is_signed: self.truth("is_signed")?,
                intranet: self.truth("intranet")?,
                extranet: self.truth("extranet")?,
                cors: match self.0.get("cors")? {
                    Value::Object(fields) => Some(Stored(fields).cors()?),
                    _ => None,
                },
            }),
            Kind::Apigw => Spec::Apigw(Apigw {
                service: self.text("service")?,
                environment: self.text("environment")?,
                path: self.text("path")?,
                method: self.text("method")?,
                auth_required: self.truth("auth_required")?,
                is_integrated: self.truth("is_integrated")?,
                is_base64: self.truth("is_base64")?,
                enables_cors: self.truth("enables_cors").unwrap_or(false),
            }),
            Kind::Cos => Spec::Cos(Cos {
                event: self.text("event")?,
                prefix: self.text("prefix")?,
                suffix: self.text("suffix")?,
            }),
            Kind::Ckafka => Spec::Ckafka(Ckafka {
                max_msg_num: self.number("max_msg_num")?,
                offset: self.text("offset")?,
                retry: self.number("retry")?,
                timeout_s: self.number("timeout_s")?,
                consumer_group: self.text("consumer_group")?,
                brokers: self.texts("brokers")?,
                // Rows of earlier releases have neither.
                topic: self.text("topic").unwrap_or_default(),
                is_base64: self.truth("is_base64").unwrap_or_default(),
            }),
        })
    }

    fn cors(&self) -> Option<Cors> {
        Some(Cors {
            origins: self.texts("origins")?,
            headers: self.texts("headers")?,
            methods: self.texts("methods")?,
            expose_headers: self.texts("expose_headers")?,
            max_age_s: self.number("max_age_s")?,
            credentials: self.truth("credentials")?,
        })
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(str::to_owned)
    }

    fn truth(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool()
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.0.get(name)?.as_u64()?.try_into().ok()
    }

    fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.0.get(name)?.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_read_back() {
        let cors = Cors { origins: vec!["*".into()], max_age_s: 10, ..Cors::default() };
        for spec in [
            Spec::Timer(Timer { cron: Cron::parse("0 * * * * * *").unwrap(), zone: None }),
            Spec::Timer(Timer {
                cron: Cron::parse("0 * * * * * *").unwrap(),
                zone: Some(Zone::parse("UTC").unwrap()),
            }),
            Spec::Http(Http {
                url_id: "u".into(),
                is_signed: true,
                intranet: false,
                extranet: true,
                cors: Some(cors),
            }),
            Spec::Http(Http {
                url_id: String::new(),
                is_signed: false,
                intranet: true,
                extranet: false,
                cors: None,
            }),
            Spec::Apigw(Apigw {
                service: "s".into(),
                environment: "release".into(),
                path: "/a".into(),
                method: "GET".into(),
                auth_required: true,
                is_integrated: false,
                is_base64: true,
                enables_cors: true,
            }),
            Spec::Cos(Cos { event: "cos:ObjectCreated:*".into(), prefix: "a".into(), suffix: ".b".into() }),
            Spec::Ckafka(Ckafka {
                max_msg_num: 1,
                offset: "latest".into(),
                retry: 2,
                timeout_s: 3,
                consumer_group: "g".into(),
                brokers: vec!["h:1".into()],
                topic: "t".into(),
                is_base64: true,
            }),
        ] {
            assert_eq!(read(spec.kind().as_str(), &text(&spec)).unwrap(), spec);
        }
        assert!(read("timer", "{}").is_err() && read("timer", "[]").is_err() && read("x", "{}").is_err());
    }
}
