//! What a trigger waits for, as `/v1` is told: the fields of its kind, those that the view `triggers` shows. What is not named has
//! its default, or stays.

use crate::api::rest::fields::Fields;
use crate::error::{Error, Result};
use crate::model::cron::Cron;
use crate::model::schedule::Zone;
use crate::model::trigger::{Apigw, Ckafka, Cors, Cos, Http, Kind, Spec, Timer};

/// A trigger of that kind as nobody has said anything of it; none where something has to be said.
fn default(kind: Kind) -> Option<Spec> {
    match kind {
        Kind::Timer => None,
        Kind::Http => Some(Spec::Http(Http {
            url_id: String::new(),
            is_signed: false,
            intranet: true,
            extranet: true,
            cors: None,
        })),
        Kind::Apigw => Some(Spec::Apigw(Apigw {
            service: "SCF_API_SERVICE".to_owned(),
            environment: "release".to_owned(),
            path: String::new(),
            method: "ANY".to_owned(),
            auth_required: false,
            is_integrated: true,
            is_base64: false,
            enables_cors: false,
        })),
        Kind::Cos => Some(Spec::Cos(Cos {
            event: "cos:ObjectCreated:*".to_owned(),
            prefix: String::new(),
            suffix: String::new(),
        })),
        Kind::Ckafka => Some(Spec::Ckafka(Ckafka {
            max_msg_num: 100,
            offset: "latest".to_owned(),
            retry: 10_000,
            timeout_s: 5,
            consumer_group: String::new(),
            brokers: Vec::new(),
            topic: String::new(),
            is_base64: false,
        })),
    }
}

/// Reads the spec of a new trigger.
pub(super) fn read(kind: Kind, fields: Option<Fields<'_>>) -> Result<Spec> {
    let Some(mut fields) = fields else {
        return default(kind).ok_or_else(|| Error::invalid("spec.cron is required"));
    };
    match (kind, default(kind)) {
        (Kind::Timer, _) | (_, None) => {
            let cron = fields.text("cron")?.ok_or_else(|| Error::invalid("spec.cron is required"))?;
            let zone = zone(&mut fields)?.flatten();
            fields.nothing_else(&["cron", "zone"])?;
            Ok(Spec::Timer(Timer { cron: Cron::parse(&cron)?, zone }))
        }
        (_, Some(mut spec)) => {
            change(&mut spec, fields)?;
            Ok(spec)
        }
    }
}

/// Changes a spec by the fields that are named.
pub(super) fn change(spec: &mut Spec, mut fields: Fields<'_>) -> Result<()> {
    match spec {
        Spec::Timer(timer) => {
            set(&mut timer.cron, fields.text("cron")?.map(|cron| Cron::parse(&cron)).transpose()?);
            set(&mut timer.zone, zone(&mut fields)?);
            fields.nothing_else(&["cron", "zone"])
        }
        Spec::Http(http) => change_http(http, fields),
        Spec::Apigw(apigw) => change_apigw(apigw, fields),
        Spec::Cos(cos) => {
            set(&mut cos.event, fields.text("event")?);
            set(&mut cos.prefix, fields.text("prefix")?);
            set(&mut cos.suffix, fields.text("suffix")?);
            fields.nothing_else(&["event", "prefix", "suffix"])
        }
        Spec::Ckafka(ckafka) => change_ckafka(ckafka, fields),
    }
}

fn change_http(http: &mut Http, mut fields: Fields<'_>) -> Result<()> {
    // What it is known by is not up to the caller, who may send back what he was told.
    fields.text("url_id")?;
    set(&mut http.is_signed, fields.truth("is_signed")?);
    set(&mut http.intranet, fields.truth("intranet")?);
    set(&mut http.extranet, fields.truth("extranet")?);
    match fields.object("cors")? {
        None => {}
        // An object without anything is how browsers are told nothing any more.
        Some(cors) if cors.is_empty() => http.cors = None,
        Some(cors) => change_cors(http.cors.get_or_insert_default(), cors)?,
    }
    fields.nothing_else(&["is_signed", "intranet", "extranet", "cors"])
}

fn change_cors(cors: &mut Cors, mut fields: Fields<'_>) -> Result<()> {
    set(&mut cors.origins, fields.list("origins")?);
    set(&mut cors.headers, fields.list("headers")?);
    set(&mut cors.methods, fields.list("methods")?);
    set(&mut cors.expose_headers, fields.list("expose_headers")?);
    set(&mut cors.max_age_s, fields.number("max_age_s")?);
    set(&mut cors.credentials, fields.truth("credentials")?);
    fields.nothing_else(&["origins", "headers", "methods", "expose_headers", "max_age_s", "credentials"])
}

fn change_apigw(apigw: &mut Apigw, mut fields: Fields<'_>) -> Result<()> {
    set(&mut apigw.service, fields.text("service")?);
    set(&mut apigw.environment, fields.text("environment")?);
    set(&mut apigw.path, fields.text("path")?);
    set(&mut apigw.method, fields.text("method")?.map(|method| method.to_ascii_uppercase()));
    set(&mut apigw.auth_required, fields.truth("auth_required")?);
    set(&mut apigw.is_integrated, fields.truth("is_integrated")?);
    set(&mut apigw.is_base64, fields.truth("is_base64")?);
    set(&mut apigw.enables_cors, fields.truth("enables_cors")?);
    let known = [
        "service",
        "environment",
        "path",
        "method",
        "auth_required",
        "is_integrated",
        "is_base64",
        "enables_cors",
    ];
    fields.nothing_else(&known)
}

fn change_ckafka(ckafka: &mut Ckafka, mut fields: Fields<'_>) -> Result<()> {
    set(&mut ckafka.max_msg_num, fields.number("max_msg_num")?);
    set(&mut ckafka.offset, fields.text("offset")?);
    set(&mut ckafka.retry, fields.number("retry")?);
    set(&mut ckafka.timeout_s, fields.number("timeout_s")?);
    set(&mut ckafka.consumer_group, fields.text("consumer_group")?);
    set(&mut ckafka.brokers, fields.list("brokers")?);
    set(&mut ckafka.topic, fields.text("topic")?);
    set(&mut ckafka.is_base64, fields.truth("is_base64")?);
    fields.nothing_else(&[
        "max_msg_num",
        "offset",
        "retry",
        "timeout_s",
        "consumer_group",
        "brokers",
        "topic",
        "is_base64",
    ])
}

/// The zone; the empty text is how none is named any more.
fn zone(fields: &mut Fields<'_>) -> Result<Option<Option<Zone>>> {
    let Some(name) = fields.text("zone")? else { return Ok(None) };
    if name.is_empty() { Ok(Some(None)) } else { Zone::parse(&name).map(|zone| Some(Some(zone))) }
}

fn set<T>(place: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *place = said;
    }
}
