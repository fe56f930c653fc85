//! TriggerDesc: what a trigger waits for, as text; what comes back is not what went in (contract 6.8, 12.3). A timer is given a bare
//! cron expression and read as an object; one of Kafka is read as a string of JSON within a string of JSON.

use serde_json::{Map, Value, json};

use crate::api::tencent::fault::Fault;
use crate::api::tencent::params::Params;
use crate::model::cron::Cron;
use crate::model::schedule::Zone;
use crate::model::trigger::{Apigw, Ckafka, Cors, Cos, Http, Kind, Spec, Timer, brokers_in};

/// What Tencent's own tools say for Kafka where its user says nothing.
const MAX_MSG_NUM: u32 = 100;
const RETRY: u32 = 10_000;
const TIMEOUT_S: u32 = 60;

/// Reads a descriptor.
pub(super) fn read(kind: Kind, text: &str) -> Result<Spec, Fault> {
    match kind {
        Kind::Timer => timer(text),
        Kind::Http => http(&object(text)?).map(Spec::Http),
        Kind::Apigw => apigw(&object(text)?).map(Spec::Apigw),
        Kind::Cos => cos(&object(text)?).map(Spec::Cos),
        Kind::Ckafka => ckafka(&object(text)?).map(Spec::Ckafka),
    }
}

/// What a changed descriptor says.
#[derive(Debug)]
pub(super) enum Change {
    /// All of it anew.
    Whole(Spec),
    /// Other moments, in the zone that is named or the same as before.
    Timer(Timer),
    /// What is named of a URL: a signature that is wanted is not to be forgotten because of another origin.
    Http(Http, Says),
    /// How messages come; which ones, and from where, is said once, when the trigger is made (triggers 3.2).
    Pace(Pace),
}

/// What the descriptor of a URL names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Says {
    auth: bool,
    intranet: bool,
    extranet: bool,
    cors: bool,
}

/// How messages of a topic come; nothing where it is not said.
#[derive(Debug)]
pub(super) struct Pace {
    max_msg_num: Option<u32>,
    retry: Option<u32>,
    timeout_s: Option<u32>,
}

/// Reads a descriptor that changes another. Fails as [`read`].
pub(super) fn read_change(kind: Kind, text: &str) -> Result<Change, Fault> {
    match (kind, read(kind, text)?) {
        (Kind::Ckafka, _) => pace(&object(text)?).map(Change::Pace),
        (_, Spec::Timer(timer)) => Ok(Change::Timer(timer)),
        (_, Spec::Http(http)) => {
            let params = object(text)?;
            let net = params.object("NetConfig")?.unwrap_or_default();
            let says = Says {
                auth: params.has("AuthType"),
                intranet: net.has("EnableIntranet"),
                extranet: net.has("EnableExtranet"),
                cors: params.has("CorsConfig"),
            };
            Ok(Change::Http(http, says))
        }
        (_, spec) => Ok(Change::Whole(spec)),
    }
}

impl Change {
    /// Changes `spec` as it says; what it does not name stays.
    pub(super) fn apply(self, spec: &mut Spec) {
        match (self, spec) {
            (Change::Whole(changed), spec) => *spec = changed,
            (Change::Timer(changed), Spec::Timer(timer)) => {
                timer.cron = changed.cron;
                timer.zone = changed.zone.or_else(|| timer.zone.take());
            }
            (Change::Http(changed, says), Spec::Http(http)) => {
                if says.auth {
                    http.is_signed = changed.is_signed;
                }
                if says.intranet {
                    http.intranet = changed.intranet;
                }
                if says.extranet {
                    http.extranet = changed.extranet;
                }
                if says.cors {
                    http.cors = changed.cors;
                }
            }
            (Change::Pace(pace), Spec::Ckafka(ckafka)) => {
                ckafka.max_msg_num = pace.max_msg_num.unwrap_or(ckafka.max_msg_num);
                ckafka.retry = pace.retry.unwrap_or(ckafka.retry);
                ckafka.timeout_s = pace.timeout_s.unwrap_or(ckafka.timeout_s);
            }
            (Change::Pace(_) | Change::Timer(_) | Change::Http(..), _) => {}
        }
    }
}

/// Writes the descriptor of a trigger at `address` as it is read back.
pub(super) fn write_at(spec: &Spec, address: &str) -> String {
    let Spec::Http(http) = spec else { return write(spec) };
    let mut value = http_value(http);
    for (is_there, prefix) in [(http.intranet, "Intranet"), (http.extranet, "Extranet")] {
        if is_there {
            for name in ["Url", "HTTPUrl"] {
                value["NetConfig"][format!("{prefix}{name}")] = address.into();
            }
        }
    }
    value.to_string()
}

fn write(spec: &Spec) -> String {
    match spec {
        Spec::Timer(timer) => timer_value(timer).to_string(),
        Spec::Http(http) => http_value(http).to_string(),
        Spec::Apigw(apigw) => apigw_value(apigw).to_string(),
        Spec::Cos(cos) => {
            let filter = json!({ "Prefix": cos.prefix, "Suffix": cos.suffix });
            json!({ "event": cos.event, "filter": filter }).to_string()
        }
        Spec::Ckafka(ckafka) => Value::String(ckafka_value(ckafka).to_string()).to_string(),
    }
}

/// A bare expression, or the object that it is read back as. The zone is ours; the cloud knows one only.
fn timer(text: &str) -> Result<Spec, Fault> {
    if !text.trim().starts_with('{') {
        return Ok(Spec::Timer(Timer { cron: Cron::parse(text)?, zone: None }));
    }
    let given = object(text)?;
    let zone = given.said("timeZone")?.map(Zone::parse).transpose()?;
    Ok(Spec::Timer(Timer { cron: Cron::parse(given.needed("cron")?)?, zone }))
}

fn timer_value(timer: &Timer) -> Value {
    let mut value = json!({ "cron": timer.cron.as_str() });
    if let Some(zone) = &timer.zone {
        value["timeZone"] = zone.as_str().into();
    }
    value
}

/// The object in a text, or in the string that the text is.
fn object(text: &str) -> Result<Params, Fault> {
    let wrong = || Fault::new("InvalidParameterValue.TriggerDesc", "TriggerDesc must be a JSON object");
    let parsed = if text.trim().is_empty() {
        Value::Object(Map::new())
    } else {
        serde_json::from_str(text).map_err(|_| wrong())?
    };
    match parsed {
        Value::Object(fields) => Ok(Params(fields)),
        Value::String(inner) => match serde_json::from_str(&inner) {
            Ok(Value::Object(fields)) => Ok(Params(fields)),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

fn wrong(sentence: &str) -> Fault {
    Fault::new("InvalidParameterValue.TriggerDesc", sentence)
}

/// A field of any of those names: tools spell them in their own ways.
fn any<'a>(params: &'a Params, names: &[&'a str]) -> &'a str {
    names.iter().copied().find(|name| params.has(name)).unwrap_or(names[0])
}

fn http(params: &Params) -> Result<Http, Fault> {
    let is_signed = match params.said("AuthType")?.unwrap_or("NONE") {
        "NONE" => false,
        "CAM" => true,
        _ => return Err(wrong("AuthType must be NONE or CAM")),
    };
    let net = params.object("NetConfig")?.unwrap_or_default();
    let cors = params.object("CorsConfig")?;
    let cors = match cors {
        Some(cors) if cors.truth("Enable")?.unwrap_or(true) => Some(read_cors(&cors)?),
        _ => None,
    };
    Ok(Http {
        url_id: String::new(),
        is_signed,
        intranet: net.truth("EnableIntranet")?.unwrap_or(false),
        extranet: net.truth("EnableExtranet")?.unwrap_or(true),
        cors,
    })
}

fn read_cors(cors: &Params) -> Result<Cors, Fault> {
    let texts = |name: &str| {
        let texts = cors.texts(name)?.unwrap_or_default();
        Ok::<_, Fault>(texts.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    Ok(Cors {
        origins: texts("Origins")?,
        headers: texts("Headers")?,
        methods: texts("Methods")?,
        expose_headers: texts("ExposeHeaders")?,
        max_age_s: cors.count("MaxAge")?.unwrap_or(0),
        credentials: cors.truth("Credentials")?.unwrap_or(false),
    })
}

fn http_value(http: &Http) -> Value {
    let net = json!({ "EnableIntranet": http.intranet, "EnableExtranet": http.extranet });
    let mut value = json!({ "AuthType": if http.is_signed { "CAM" } else { "NONE" }, "NetConfig": net });
    if let Some(cors) = &http.cors {
        value["CorsConfig"] = json!({
            "Enable": true,
            "Origins": cors.origins,
            "Headers": cors.headers,
            "Methods": cors.methods,
            "ExposeHeaders": cors.expose_headers,
            "MaxAge": cors.max_age_s,
            "Credentials": cors.credentials,
        });
    }
    value
}

fn apigw(params: &Params) -> Result<Apigw, Fault> {
    let api = params.object("api")?.unwrap_or_default();
    let request = api.object("requestConfig")?.unwrap_or_default();
    let service = params.object("service")?.unwrap_or_default();
    let release = params.object("release")?.unwrap_or_default();
    let id = service.said("serviceId")?.or(service.said("serviceName")?);
    Ok(Apigw {
        service: id.unwrap_or("SCF_API_SERVICE").to_owned(),
        environment: release.said("environmentName")?.unwrap_or("release").to_owned(),
        path: request.said("path")?.unwrap_or_default().to_owned(),
        method: request.said("method")?.unwrap_or("ANY").to_ascii_uppercase(),
        auth_required: api.truth("authRequired")?.unwrap_or(false),
        is_integrated: api.truth("isIntegratedResponse")?.unwrap_or(false),
        is_base64: api.truth("IsBase64Encoded")?.unwrap_or(false),
        enables_cors: api.truth("enableCORS")?.unwrap_or(false),
    })
}

fn apigw_value(apigw: &Apigw) -> Value {
    let word = |truth: bool| if truth { "TRUE" } else { "FALSE" };
    let mut value = json!({
        "api": {
            "authRequired": word(apigw.auth_required),
            "requestConfig": { "method": apigw.method, "path": apigw.path },
            "isIntegratedResponse": word(apigw.is_integrated),
            "IsBase64Encoded": word(apigw.is_base64),
        },
        "service": { "serviceId": apigw.service, "serviceName": apigw.service },
        "release": { "environmentName": apigw.environment },
    });
    if apigw.enables_cors {
        value["api"]["enableCORS"] = word(true).into();
    }
    value
}

fn cos(params: &Params) -> Result<Cos, Fault> {
    let filter = params.object(any(params, &["filter", "Filter"]))?.unwrap_or_default();
    let text = |names: &[&'static str]| {
        Ok::<_, Fault>(filter.text(any(&filter, names))?.unwrap_or_default().to_owned())
    };
    let event = params.said("event")?.ok_or_else(|| wrong("TriggerDesc needs the event"))?;
    Ok(Cos {
        event: event.to_owned(),
        prefix: text(&["Prefix", "prefix"])?,
        suffix: text(&["Suffix", "suffix"])?,
    })
}

fn ckafka(params: &Params) -> Result<Ckafka, Fault> {
    let pace = pace(params)?;
    let offset = match params.raw(any(params, &["offset", "Offset"])) {
        None => "latest".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err(wrong("offset must be a text or a number")),
    };
    let offset = if offset == "oldest" { "earliest".to_owned() } else { offset };
    let servers = params.said(any(params, &["bootstrapServers", "BootstrapServers"]))?.unwrap_or_default();
    let group = params.said(any(params, &["consumerGroupName", "ConsumerGroupName"]))?;
    let topic = params.said(any(params, &["topic", "Topic"]))?;
    Ok(Ckafka {
        max_msg_num: pace.max_msg_num.unwrap_or(MAX_MSG_NUM),
        offset,
        retry: pace.retry.unwrap_or(RETRY),
        timeout_s: pace.timeout_s.unwrap_or(TIMEOUT_S),
        consumer_group: group.unwrap_or_default().to_owned(),
        brokers: brokers_in(servers),
        topic: topic.unwrap_or_default().to_owned(),
        is_base64: params.truth(any(params, &["base64", "Base64"]))?.unwrap_or(false),
    })
}

fn pace(params: &Params) -> Result<Pace, Fault> {
    let count = |names: &[&'static str]| params.count(any(params, names));
    Ok(Pace {
        max_msg_num: count(&["maxMsgNum", "MaxMsgNum"])?,
        retry: count(&["retry", "Retry"])?,
        timeout_s: count(&["timeOut", "TimeOut", "timeout"])?,
    })
}

fn ckafka_value(ckafka: &Ckafka) -> Value {
    let mut value = json!({
        "maxMsgNum": ckafka.max_msg_num,
        "offset": ckafka.offset,
        "retry": ckafka.retry,
        "timeOut": ckafka.timeout_s,
        "consumerGroupName": ckafka.consumer_group,
        "bootstrapServers": ckafka.brokers.join(","),
    });
    // Ours, so they are there only where somebody has said them.
    if !ckafka.topic.is_empty() {
        value["topic"] = ckafka.topic.as_str().into();
    }
    if ckafka.is_base64 {
        value["base64"] = true.into();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(kind: Kind, text: &str) -> String {
        let spec = read(kind, text).unwrap_or_else(|fault| panic!("{text}: {}", fault.message));
        let written = write(&spec);
        assert_eq!(read(kind, &written).unwrap(), spec, "what is read back may be sent again");
        written
    }

    #[test]
    fn a_timer_goes_in_bare_and_comes_back_in_an_object() {
        assert_eq!(back(Kind::Timer, "0 */5 * * * * *"), r#"{"cron":"0 */5 * * * * *"}"#);
        let zoned = r#"{"cron":"0 0 9 * * * *","timeZone":"Europe/Berlin"}"#;
        assert_eq!(back(Kind::Timer, zoned), zoned);
        assert_eq!(back(Kind::Timer, "*/5 * * * *"), r#"{"cron":"0 */5 * * * * *"}"#);
        assert_eq!(read(Kind::Timer, "nonsense").unwrap_err().code, "InvalidParameterValue.TriggerDesc");
    }

    #[test]
    fn objects_come_back_as_objects() {
        let cos = r#"{"event":"cos:ObjectCreated:*","filter":{"Prefix":"in/","Suffix":".jpg"}}"#;
        assert_eq!(back(Kind::Cos, cos), cos);
        assert_eq!(
            back(
                Kind::Apigw,
                r#"{"api":{"authRequired":"FALSE","requestConfig":{"method":"get"},"isIntegratedResponse":"TRUE"},"service":{"serviceName":"S"},"release":{"environmentName":"test"}}"#
            ),
            r#"{"api":{"authRequired":"FALSE","requestConfig":{"method":"GET","path":""},"isIntegratedResponse":"TRUE","IsBase64Encoded":"FALSE"},"service":{"serviceId":"S","serviceName":"S"},"release":{"environmentName":"test"}}"#
        );
        assert_eq!(
            back(
                Kind::Http,
                r#"{"AuthType":"CAM","NetConfig":{"EnableIntranet":true,"EnableExtranet":false}}"#
            ),
            r#"{"AuthType":"CAM","NetConfig":{"EnableIntranet":true,"EnableExtranet":false}}"#
        );
    }

    #[test]
    fn what_a_change_does_not_name_stays() {
        let changed = |kind, before: &str, change: &str| {
            let mut spec = read(kind, before).unwrap();
            read_change(kind, change).unwrap().apply(&mut spec);
            write(&spec)
        };
        let signed = r#"{"AuthType":"CAM","NetConfig":{"EnableIntranet":true,"EnableExtranet":false}}"#;
        let shared = changed(Kind::Http, signed, r#"{"CorsConfig":{"Enable":true,"Origins":["*"]}}"#);
        assert!(
            shared.contains(r#""AuthType":"CAM","NetConfig":{"EnableIntranet":true,"EnableExtranet":false}"#)
        );
        let open = changed(Kind::Http, signed, r#"{"NetConfig":{"EnableExtranet":true}}"#);
        assert_eq!(open, signed.replace("false", "true"));
        let zoned = r#"{"cron":"0 0 9 * * * *","timeZone":"Europe/Berlin"}"#;
        assert_eq!(changed(Kind::Timer, zoned, "0 0 8 * * * *"), zoned.replace("9", "8"));
    }

    #[test]
    fn kafka_comes_back_twice_wrapped() {
        let written = back(Kind::Ckafka, r#"{"maxMsgNum":"999","offset":"latest","retry":10000}"#);
        let once: String = serde_json::from_str(&written).unwrap();
        let twice: Value = serde_json::from_str(&once).unwrap();
        assert_eq!((&twice["maxMsgNum"], &twice["offset"]), (&json!(999), &json!("latest")));
        assert_eq!((twice.get("topic"), twice.get("base64")), (None, None));
        let written = back(Kind::Ckafka, r#"{"Topic":"lines","Base64":"TRUE"}"#);
        assert!(written.contains("lines") && written.contains("base64"), "{written}");
    }

    #[test]
    fn what_is_no_descriptor_is_refused() {
        for (kind, text) in [
            (Kind::Cos, "{}"),
            (Kind::Cos, "[]"),
            (Kind::Cos, "x"),
            (Kind::Http, r#"{"AuthType":"x"}"#),
            (Kind::Ckafka, r#"{"offset":[]}"#),
        ] {
            assert_eq!(read(kind, text).unwrap_err().code, "InvalidParameterValue.TriggerDesc", "{text}");
        }
    }
}
