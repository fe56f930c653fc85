//! What makes a function run by itself, and the rules for each kind (contract 6.8, triggers 1 to 4). Kept and checked here; what
//! fires them comes to them.

use crate::error::{About, Error, Result};
use crate::model::cron::Cron;
use crate::model::function::{FunctionName, Namespace, is_word};
use crate::model::limits;
use crate::model::namespace::check_description;
use crate::model::object::BucketName;
use crate::model::schedule::Zone;

/// A trigger of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// What it waits for.
    pub spec: Spec,
    /// The version or alias that it runs.
    pub qualifier: String,
    /// Whether it is on.
    pub enabled: bool,
    /// What a timer hands over.
    pub custom_argument: String,
    /// Free text.
    pub description: String,
    /// When it was made, microseconds since the epoch.
    pub created_us: i64,
    /// When it was last changed, microseconds since the epoch.
    pub modified_us: i64,
}

/// A trigger with whose it is, and what has come of it.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its row id, which is not given again.
    pub id: i64,
    /// The function's namespace.
    pub namespace: Namespace,
    /// The function's name.
    pub function: FunctionName,
    /// The function's row id.
    pub function_id: i64,
    /// The trigger.
    pub trigger: Trigger,
    /// What has come of it.
    pub state: State,
}

/// What has come of a trigger since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// How often it fired.
    pub fired: u64,
    /// Of them, those that were not accepted, or whose run failed.
    pub failed: u64,
    /// Moments that were left out because what came of the one before still waited.
    pub skipped: u64,
    /// When it fired last, microseconds since the epoch; 0 if it never did.
    pub fired_us: i64,
    /// What was wrong last; empty if nothing ever was.
    pub error: String,
    /// When that was, microseconds since the epoch.
    pub error_us: i64,
}

impl State {
    /// Adds what came later.
    pub fn add(&mut self, later: State) {
        self.fired += later.fired;
        self.failed += later.failed;
        self.skipped += later.skipped;
        self.fired_us = self.fired_us.max(later.fired_us);
        if !later.error.is_empty() {
            (self.error, self.error_us) = (later.error, later.error_us);
        }
    }
}

/// A kind of triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A moment.
    Timer,
    /// A request to the function's own URL.
    Http,
    /// A request to the API gateway.
    Apigw,
    /// Something done to an object.
    Cos,
    /// Messages of a Kafka topic.
    Ckafka,
}

/// Kinds of the cloud that wait for services that one host does not have.
const ELSEWHERE: [&str; 7] = ["cmq", "cls", "mps", "clb", "eb", "vod", "cm"];

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] = [Kind::Timer, Kind::Http, Kind::Apigw, Kind::Cos, Kind::Ckafka];

    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Timer => "timer",
            Kind::Http => "http",
            Kind::Apigw => "apigw",
            Kind::Cos => "cos",
            Kind::Ckafka => "ckafka",
        }
    }

    /// The kind of that word, in any case.
    pub fn parse(word: &str) -> Result<Kind> {
        let known = Kind::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word));
        known.ok_or_else(|| {
            let names = Kind::ALL.map(Kind::as_str).join(", ");
            let why = match ELSEWHERE.iter().find(|other| other.eq_ignore_ascii_case(word)) {
                Some(other) => format!("; {other} is a service of the cloud that is not here"),
                None => String::new(),
            };
            Error::invalid(format!("type must be one of {names}{why}")).about(About::TriggerKind)
        })
    }
}

/// What a trigger waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// Moments.
    Timer(Timer),
    /// A request to the function's own URL.
    Http(Http),
    /// A request to the API gateway.
    Apigw(Apigw),
    /// Something done to an object of the bucket that the trigger is named by.
    Cos(Cos),
    /// Messages of a Kafka topic.
    Ckafka(Ckafka),
}

/// When a timer fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The cron expression, of seven fields.
    pub cron: Cron,
    /// The time zone it is meant in; none for the server's.
    pub zone: Option<Zone>,
}

/// A function's own URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// What the URL is known by; empty until the trigger is kept.
    pub url_id: String,
    /// Whether requests must be signed as those of the API.
    pub is_signed: bool,
    /// Whether it is meant for requests from inside the network.
    pub intranet: bool,
    /// Whether it is meant for requests from outside.
    pub extranet: bool,
    /// What browsers are told; none where nothing is.
    pub cors: Option<Cors>,
}

/// What browsers are told about requests from other origins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins that may ask.
    pub origins: Vec<String>,
    /// Headers they may send.
    pub headers: Vec<String>,
    /// Methods they may use.
    pub methods: Vec<String>,
    /// Headers they may read.
    pub expose_headers: Vec<String>,
    /// How long that may be remembered, seconds.
    pub max_age_s: u32,
    /// Whether cookies may come along.
    pub credentials: bool,
}

/// An API of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apigw {
    /// The service's id or name.
    pub service: String,
    /// Where it is released: release, test or prepub.
    pub environment: String,
    /// The path; empty for that of the function's name.
    pub path: String,
    /// The method, or ANY.
    pub method: String,
    /// Whether requests need a key.
    pub auth_required: bool,
    /// Whether what the function returns is a response, or the body of one.
    pub is_integrated: bool,
    /// Whether bodies come in base64.
    pub is_base64: bool,
    /// Whether pages of every origin may ask.
    pub enables_cors: bool,
}

impl Apigw {
    /// The path that is meant of a function's API.
    pub fn path_of(&self, function: &FunctionName) -> String {
        if self.path.is_empty() { format!("/{function}") } else { self.path.clone() }
    }

    /// The same for comparing: two paths that differ only in what their parts are called answer the same requests.
    pub fn pattern_of(&self, function: &FunctionName) -> String {
        let path = self.path_of(function);
        if path.starts_with('=') {
            // Nothing varies there, whatever is in braces.
            return path;
        }
        let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// What is done to which objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cos {
    /// The event: `cos:ObjectCreated:*` and others.
    pub event: String,
    /// How keys begin; empty for all.
    pub prefix: String,
    /// How keys end; empty for all.
    pub suffix: String,
}

/// A topic, and how its messages come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ckafka {
    /// Most messages of one event.
    pub max_msg_num: u32,
    /// Where it begins: `latest`, `earliest`, or milliseconds since the epoch.
    pub offset: String,
    /// How often an event is tried again that the function failed.
    pub retry: u32,
    /// How long messages are gathered, seconds.
    pub timeout_s: u32,
    /// The consumer group; empty for one of its own.
    pub consumer_group: String,
    /// The brokers, `host:port`; empty for the server's.
    pub brokers: Vec<String>,
    /// The topic; empty where the trigger's name says it.
    pub topic: String,
    /// Whether bodies come in base64.
    pub is_base64: bool,
}

/// Events of objects (triggers 2.2), each family with its members.
const COS_EVENTS: [(&str, &[&str]); 3] = [
    ("ObjectCreated", &["*", "Put", "Post", "Copy", "CompleteMultipartUpload", "Origin", "Replication"]),
    ("ObjectRemove", &["*", "Delete", "DeleteMarkerCreated"]),
    ("ObjectRestore", &["*", "Post", "Completed"]),
];

/// The bucket that a trigger of object storage is named by: by its domain, `<name>-<appid>.cos.<region>.myqcloud.com`, or by its
/// name alone.
pub fn bucket_of(trigger: &str) -> &str {
    trigger.split_once(".cos.").map_or(trigger, |(bucket, _)| bucket)
}

/// Methods that an API may have.
const METHODS: [&str; 8] = ["ANY", "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"];

/// Longest name of a trigger that is a timer (contract 12.1), and of all others.
const TIMER_CHARS_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 255;
/// Longest id of a gateway's service.
const SERVICE_CHARS_MAX: usize = 50;
/// Most texts of a list that browsers are told.
const CORS_TEXTS_MAX: usize = 100;
/// Longest prefix or suffix of a key, bytes: that of a key.
const KEY_BYTES_MAX: usize = 850;

impl Spec {
    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Spec::Timer(_) => Kind::Timer,
            Spec::Http(_) => Kind::Http,
            Spec::Apigw(_) => Kind::Apigw,
            Spec::Cos(_) => Kind::Cos,
            Spec::Ckafka(_) => Kind::Ckafka,
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Spec::Timer(_) => Ok(()),
            Spec::Http(http) => http.cors.as_ref().map_or(Ok(()), Cors::check),
            Spec::Apigw(apigw) => apigw.check(),
            Spec::Cos(cos) => cos.check(),
            Spec::Ckafka(ckafka) => ckafka.check(),
        }
    }
}

impl Trigger {
    /// Checks name, descriptor and texts.
    pub fn check(&self) -> Result<()> {
        check_name(self.spec.kind(), &self.name)?;
        check_description(&self.description)?;
        self.spec.check()?;
        if self.custom_argument.len() > limits::CUSTOM_ARGUMENT_BYTES_MAX {
            let sentence =
                format!("custom_argument must be at most {} bytes", limits::CUSTOM_ARGUMENT_BYTES_MAX);
            return Err(Error::invalid(sentence).about(About::CustomArgument));
        }
        if !self.custom_argument.is_empty() && self.spec.kind() != Kind::Timer {
            return Err(Error::invalid("custom_argument is for timers").about(About::CustomArgument));
        }
        Ok(())
    }
}

fn check_name(kind: Kind, name: &str) -> Result<()> {
    let is_good = match kind {
        Kind::Timer => name.len() <= TIMER_CHARS_MAX && is_word(name),
        // Of any other name nothing could ever be told, here or by another store.
        Kind::Cos => name.len() <= NAME_CHARS_MAX && BucketName::parse(bucket_of(name)).is_ok(),
        _ => (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()),
    };
    if is_good {
        return Ok(());
    }
    let rule = match kind {
        Kind::Timer => {
            format!("at most {TIMER_CHARS_MAX} letters, digits, '-' or '_', and begin with a letter")
        }
        Kind::Cos => "its bucket's, NAME-APPID as photos-1250000000, or the bucket's domain".to_owned(),
        _ => format!("1 to {NAME_CHARS_MAX} visible characters of ASCII"),
    };
    Err(Error::invalid(format!("the trigger's name must be {rule}")).about(About::TriggerName))
}

fn wrong(sentence: String) -> Error {
    Error::invalid(sentence).about(About::Trigger)
}

impl Cors {
    /// Everything here becomes a header of a response.
    fn check(&self) -> Result<()> {
        let lists = [&self.origins, &self.headers, &self.methods, &self.expose_headers];
        let is_good = |text: &String| {
            (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if lists.iter().all(|list| list.len() <= CORS_TEXTS_MAX && list.iter().all(is_good)) {
            return Ok(());
        }
        let sentence = format!(
            "a list of what browsers are told has at most {CORS_TEXTS_MAX} texts of 1 to {NAME_CHARS_MAX} visible characters of ASCII"
        );
        Err(wrong(sentence))
    }
}

impl Apigw {
    fn check(&self) -> Result<()> {
        if !METHODS.contains(&self.method.as_str()) {
            return Err(wrong(format!("method must be one of {}", METHODS.join(", "))));
        }
        if !["release", "test", "prepub"].contains(&self.environment.as_str()) {
            return Err(wrong("environment must be release, test or prepub".to_owned()));
        }
        let is_of_service = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !(1..=SERVICE_CHARS_MAX).contains(&self.service.len()) || !self.service.bytes().all(is_of_service)
        {
            return Err(wrong(format!(
                "service must be 1 to {SERVICE_CHARS_MAX} letters, digits, '-' or '_'"
            )));
        }
        if !self.path.is_empty() && !is_api_path(&self.path) {
            let sentence = "path must be like /user, =/user or /user/{id}, without blanks, ? and #";
            return Err(wrong(sentence.to_owned()));
        }
        Ok(())
    }
}

/// Whether it is a path of an API: braces are around whole parts, which have names.
fn is_api_path(path: &str) -> bool {
    let is_part = |part: &str| match part.strip_prefix('{').map(|rest| rest.strip_suffix('}')) {
        Some(name) => name.is_some_and(|name| !name.is_empty() && !name.contains(['{', '}'])),
        None => !part.contains(['{', '}']),
    };
    let rest = path.strip_prefix('=').unwrap_or(path);
    rest.starts_with('/')
        && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte))
        && rest.split('/').all(is_part)
}

impl Cos {
    fn check(&self) -> Result<()> {
        if self.parts().is_none() {
            return Err(wrong("event must be one of object storage, such as cos:ObjectCreated:*".to_owned()));
        }
        if !self.suffix.is_empty() && !self.suffix.starts_with('.') {
            return Err(wrong("suffix must begin with a full stop".to_owned()));
        }
        if self.prefix.len() > KEY_BYTES_MAX || self.suffix.len() > KEY_BYTES_MAX {
            return Err(wrong(format!("prefix and suffix must be at most {KEY_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// Family and member of the event.
    fn parts(&self) -> Option<(&str, &str)> {
        let (family, member) = self.event.strip_prefix("cos:")?.split_once(':')?;
        let known = COS_EVENTS.iter().find(|(known, _)| *known == family)?;
        known.1.contains(&member).then_some((family, member))
    }

    /// Whether something of that name done to the object of that key is meant.
    pub fn means(&self, event: &str, key: &str) -> bool {
        let same_event = self.event == event
            || self.event.strip_suffix('*').is_some_and(|family| event.starts_with(family));
        same_event && key.starts_with(&self.prefix) && key.ends_with(&self.suffix)
    }

    /// Whether an object could be meant by both, which one bucket does not allow (triggers 2.2).
    pub fn conflicts(&self, other: &Cos) -> bool {
        let (Some((family, member)), Some((other_family, other_member))) = (self.parts(), other.parts())
        else {
            return false;
        };
        let same_event =
            family == other_family && (member == other_member || member == "*" || other_member == "*");
        let prefixes = self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix);
        let suffixes = self.suffix.ends_with(&other.suffix) || other.suffix.ends_with(&self.suffix);
        same_event && prefixes && suffixes
    }
}

impl Ckafka {
    /// The topic of a trigger of that name: what it says itself, else what comes behind the instance in `ckafka-8tfxzia3-topic`
    /// (triggers 3.2), else the name.
    pub fn topic<'a>(&'a self, trigger_name: &'a str) -> &'a str {
        let behind = trigger_name.strip_prefix("ckafka-").and_then(|rest| rest.split_once('-'));
        match behind {
            _ if !self.topic.is_empty() => &self.topic,
            Some((instance, topic)) if is_instance(instance) && !topic.is_empty() => topic,
            _ => trigger_name,
        }
    }

    fn check(&self) -> Result<()> {
        let is_moment =
            (1..=15).contains(&self.offset.len()) && self.offset.bytes().all(|byte| byte.is_ascii_digit());
        if !is_moment && !["latest", "earliest"].contains(&self.offset.as_str()) {
            return Err(wrong("offset must be latest, earliest, or milliseconds since 1970".to_owned()));
        }
        for (name, value, (min, max)) in [
            ("the most messages of one event", self.max_msg_num, (1, 10_000)),
            ("how often an event is tried again", self.retry, (0, 10_000)),
            ("the seconds that messages are gathered", self.timeout_s, (1, 60)),
        ] {
            if !(min..=max).contains(&value) {
                return Err(wrong(format!("{name} must be {min} to {max}, not {value}")));
            }
        }
        if !self.brokers.iter().all(|broker| is_broker(broker)) {
            return Err(wrong("brokers must be HOST:PORT".to_owned()));
        }
        if !self.topic.is_empty() && !is_topic(&self.topic) {
            return Err(wrong(format!("topic must be {TOPIC_RULE}")));
        }
        Ok(())
    }
}

/// The brokers of a list with commas.
pub fn brokers_in(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

/// Whether that is a broker: `host:port`.
pub fn is_broker(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0))
}

/// What a topic's name may be, as Kafka has it.
pub const TOPIC_RULE: &str = "1 to 249 letters, digits, '.', '_' or '-'";

/// Whether that may be a topic's name.
pub fn is_topic(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=249).contains(&name.len()) && name.bytes().all(is_good) && name != "." && name != ".."
}

fn is_instance(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cos(event: &str, prefix: &str, suffix: &str) -> Cos {
        Cos { event: event.into(), prefix: prefix.into(), suffix: suffix.into() }
    }

    fn trigger(name: &str, spec: Spec) -> Trigger {
        let (qualifier, text) = ("$DEFAULT".to_owned(), String::new());
        Trigger {
            name: name.into(),
            spec,
            qualifier,
            enabled: true,
            custom_argument: text.clone(),
            description: text,
            created_us: 0,
            modified_us: 0,
        }
    }

    #[test]
    fn kinds_are_told_from_services_that_are_not_here() {
        assert_eq!(Kind::parse("Timer").unwrap(), Kind::Timer);
        assert!(
            Kind::parse("clb")
                .unwrap_err()
                .message
                .ends_with("clb is a service of the cloud that is not here")
        );
        assert!(Kind::parse("x").unwrap_err().message.ends_with("cos, ckafka"));
    }

    #[test]
    fn names_are_of_their_kind() {
        let timer = || Spec::Timer(Timer { cron: Cron::parse("* * * * * * *").unwrap(), zone: None });
        for (name, good) in [("a", true), ("a-1_b", true), ("1a", false), ("a.b", false), ("", false)] {
            assert_eq!(trigger(name, timer()).check().is_ok(), good, "{name}");
        }
        let object = || Spec::Cos(cos("cos:ObjectCreated:*", "", ""));
        for (name, good) in [
            ("b-1.cos.ap-guangzhou.myqcloud.com", true),
            ("b-1", true),
            ("b", false),
            ("b.cos.ap-guangzhou.myqcloud.com", false),
            ("b-1 ", false),
            ("", false),
        ] {
            assert_eq!(trigger(name, object()).check().is_ok(), good, "{name}");
        }
        let argument = Trigger { custom_argument: "x".into(), ..trigger("b-1", object()) };
        assert!(argument.check().is_err(), "only timers hand something over");
        let long = Trigger { custom_argument: "x".repeat(4097), ..trigger("b", timer()) };
        assert!(long.check().is_err());
    }

    #[test]
    fn two_rules_of_a_bucket_must_not_mean_one_object() {
        let all = "cos:ObjectCreated:*";
        for (one, other, expected) in [
            (cos(all, "", ""), cos("cos:ObjectCreated:Put", "x", ""), true),
            (cos(all, "Log", ""), cos(all, "Lo", ""), true),
            (cos(all, "a/", ""), cos(all, "b/", ""), false),
            (cos(all, "", ".jpg"), cos(all, "", ".png"), false),
            (cos(all, "a/", ".jpg"), cos(all, "a/b/", ".jpg"), true),
            (cos("cos:ObjectCreated:Put", "", ""), cos("cos:ObjectCreated:Post", "", ""), false),
            (cos(all, "", ""), cos("cos:ObjectRemove:*", "", ""), false),
        ] {
            assert_eq!(one.conflicts(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.conflicts(&one), expected);
        }
    }

    #[test]
    fn a_rule_means_keys_by_event_beginning_and_end() {
        let rule = cos("cos:ObjectCreated:*", "in/", ".jpg");
        for (event, key, expected) in [
            ("cos:ObjectCreated:Put", "in/a.jpg", true),
            ("cos:ObjectCreated:CompleteMultipartUpload", "in/.jpg", true),
            ("cos:ObjectRemove:Delete", "in/a.jpg", false),
            ("cos:ObjectCreated:Put", "out/a.jpg", false),
            ("cos:ObjectCreated:Put", "in/a.png", false),
        ] {
            assert_eq!(rule.means(event, key), expected, "{event} {key}");
        }
        assert!(!cos("cos:ObjectCreated:Put", "", "").means("cos:ObjectCreated:Post", "a"));
        assert_eq!(bucket_of("b-1.cos.ap-guangzhou.myqcloud.com"), "b-1");
        assert_eq!(bucket_of("b-1"), "b-1");
    }

    #[test]
    fn descriptors_are_checked() {
        for (service, path, good) in [
            ("S_1-a", "", true),
            ("s", "/user/{id}/x", true),
            ("s", "=/user", true),
            ("", "/", false),
            ("a/b", "/", false),
            ("s", "user", false),
            ("s", "==/user", false),
            ("s", "/x?y=1", false),
            ("s", "/user/{id}.json", false),
            ("s", "/{}", false),
        ] {
            let apigw = Apigw {
                service: service.into(),
                environment: "release".into(),
                path: path.into(),
                method: "ANY".into(),
                auth_required: false,
                is_integrated: true,
                is_base64: false,
                enables_cors: false,
            };
            assert_eq!(apigw.check().is_ok(), good, "{service} {path}");
        }
        for (event, suffix, good) in [
            ("cos:ObjectCreated:*", ".jpg", true),
            ("cos:ObjectRemove:Delete", "", true),
            ("cos:ObjectRemoved:Delete", "", false),
            ("cos:ObjectRemove:Put", "", false),
            ("ObjectCreated:*", "", false),
            ("cos:ObjectCreated:*", "jpg", false),
        ] {
            assert_eq!(cos(event, "", suffix).check().is_ok(), good, "{event} {suffix}");
        }
        let ckafka = |offset: &str, retry, timeout_s| Ckafka {
            max_msg_num: 100,
            offset: offset.into(),
            retry,
            timeout_s,
            consumer_group: String::new(),
            brokers: vec!["127.0.0.1:9092".into()],
            topic: String::new(),
            is_base64: false,
        };
        assert!(ckafka("latest", 10_000, 60).check().is_ok());
        assert!(ckafka("1700000000000", 0, 1).check().is_ok());
        for wrong in [ckafka("now", 1, 1), ckafka("latest", 10_001, 1), ckafka("latest", 1, 0)] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        for broker in ["x", "x:0", ":9092", "x:99999"] {
            assert!(
                Ckafka { brokers: vec![broker.into()], ..ckafka("latest", 1, 1) }.check().is_err(),
                "{broker}"
            );
        }
        for topic in ["a b", "..", "ä", &"t".repeat(250)] {
            assert!(Ckafka { topic: topic.into(), ..ckafka("latest", 1, 1) }.check().is_err(), "{topic}");
        }
        for (name, said, topic) in [
            ("ckafka-8tfxzia3-test", "", "test"),
            ("ckafka-8tfxzia3-a-b", "", "a-b"),
            ("ckafka-8tfxzia3-test", "lines", "lines"),
            ("ckafka-test", "", "ckafka-test"),
            ("ckafka--test", "", "ckafka--test"),
            ("lines", "", "lines"),
        ] {
            let ckafka = Ckafka { topic: said.into(), ..ckafka("latest", 1, 1) };
            assert_eq!(ckafka.topic(name), topic);
        }
        for (origin, good) in
            [("*", true), ("https://shop.example", true), ("a\r\nSet-Cookie: b", false), ("", false)]
        {
            let cors = Cors { origins: vec![origin.into()], ..Cors::default() };
            assert_eq!(cors.check().is_ok(), good, "{origin:?}");
        }
    }
}
