//! What a consumer is to do, from a trigger and what the server was told. Pure.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::function::{FunctionName, Namespace};
use crate::model::trigger::{Placed, Spec, TOPIC_RULE, is_topic};
use crate::trigger::kafka::Options;

/// What a consumer is to do. A trigger whose plan has changed gets a new consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The trigger's row id.
    pub(super) trigger_id: i64,
    /// The function's namespace.
    pub(super) namespace: Namespace,
    /// The function's name.
    pub(super) function: FunctionName,
    /// The version or alias that runs.
    pub(super) qualifier: String,
    /// The brokers, as librdkafka takes them.
    pub(super) brokers: String,
    /// The topic.
    pub(super) topic: String,
    /// What offsets are kept under.
    pub(super) group: String,
    /// What this server is called within the group; empty for no name.
    pub(super) member: String,
    /// Where partitions begin that have no offset yet.
    pub(super) start: Start,
    /// Most messages of an event.
    pub(super) messages_max: usize,
    /// Longest time from an event's first message to its closing.
    pub(super) wait: Duration,
    /// How often an event is tried again that the function failed.
    pub(super) retry: u32,
    /// Whether bodies come in base64.
    pub(super) is_base64: bool,
}

/// Where partitions begin that have no offset yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// With what comes next.
    Latest,
    /// With what is there.
    Earliest,
    /// With what came at that time or later, milliseconds since the epoch.
    At(i64),
}

impl Plan {
    /// The plan for a trigger. Fails with `Invalid` where it does not say enough.
    pub(super) fn of(placed: &Placed, options: &Options) -> Result<Plan> {
        let trigger = &placed.trigger;
        let Spec::Ckafka(ckafka) = &trigger.spec else {
            return Err(Error::internal("a trigger of Kafka has the descriptor of another kind"));
        };
        let topic = ckafka.topic(&trigger.name);
        if !is_topic(topic) {
            return Err(Error::invalid(format!("{topic} is no topic, which is {TOPIC_RULE}")));
        }
        let brokers = if ckafka.brokers.is_empty() { &options.brokers } else { &ckafka.brokers };
        if brokers.is_empty() {
            return Err(Error::invalid(
                "no broker is known: name some in the trigger's bootstrapServers, or for all triggers by --kafka-brokers",
            ));
        }
        let name = format!("{}.{}.{}", placed.namespace, placed.function, trigger.name);
        Ok(Plan {
            trigger_id: placed.id,
            namespace: placed.namespace.clone(),
            function: placed.function.clone(),
            qualifier: trigger.qualifier.clone(),
            brokers: brokers.join(","),
            topic: topic.to_owned(),
            group: match ckafka.consumer_group.as_str() {
                "" if options.share => format!("fnlite-{name}"),
                // Of this trigger on this server alone, also where another one has a trigger of the same name.
                "" => format!("fnlite-{name}-{}", trigger.created_us),
                group => group.to_owned(),
            },
            member: match options.member.as_str() {
                "" => String::new(),
                member => format!("{member}-{name}"),
            },
            start: start(&ckafka.offset),
            messages_max: usize::try_from(ckafka.max_msg_num).unwrap_or(usize::MAX),
            wait: Duration::from_secs(ckafka.timeout_s.into()),
            retry: ckafka.retry,
            is_base64: ckafka.is_base64,
        })
    }
}

fn start(offset: &str) -> Start {
    match offset {
        "latest" => Start::Latest,
        "earliest" => Start::Earliest,
        moment => moment.parse().map_or(Start::Latest, Start::At),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Pace;
    use crate::model::trigger::{Ckafka, State, Trigger};

    fn placed(ckafka: Ckafka) -> Placed {
        let text = String::new();
        let trigger = Trigger {
            name: "ckafka-8tfxzia3-lines".into(),
            spec: Spec::Ckafka(ckafka),
            qualifier: "$LATEST".into(),
            enabled: true,
            custom_argument: text.clone(),
            description: text,
            created_us: 77,
            modified_us: 78,
        };
        Placed {
            id: 5,
            namespace: Namespace::parse("default").unwrap(),
            function: FunctionName::parse("hello").unwrap(),
            function_id: 1,
            trigger,
            state: State::default(),
        }
    }

    fn ckafka() -> Ckafka {
        Ckafka {
            max_msg_num: 100,
            offset: "latest".into(),
            retry: 3,
            timeout_s: 60,
            consumer_group: String::new(),
            brokers: Vec::new(),
            topic: String::new(),
            is_base64: false,
        }
    }

    fn options(share: bool) -> Options {
        Options { brokers: vec!["b:1".into(), "b:2".into()], share, member: String::new(), pace: Pace(1.0) }
    }

    #[test]
    fn a_trigger_says_what_is_consumed_and_the_server_where_it_does_not() {
        let plan = Plan::of(&placed(ckafka()), &options(false)).unwrap();
        assert_eq!((plan.brokers.as_str(), plan.topic.as_str()), ("b:1,b:2", "lines"));
        assert_eq!(plan.start, Start::Latest);
        let own = Ckafka { brokers: vec!["own:9".into()], offset: "1700000000000".into(), ..ckafka() };
        let plan = Plan::of(&placed(own), &options(false)).unwrap();
        assert_eq!((plan.brokers.as_str(), plan.start), ("own:9", Start::At(1_700_000_000_000)));
        let none = Options { brokers: Vec::new(), ..options(false) };
        assert!(Plan::of(&placed(ckafka()), &none).unwrap_err().message.contains("--kafka-brokers"));
        let odd = Plan::of(&placed(Ckafka { topic: "a b".into(), ..ckafka() }), &options(false));
        assert!(odd.unwrap_err().message.starts_with("a b is no topic"));
    }

    #[test]
    fn a_group_is_of_one_server_unless_it_is_shared() {
        let group = |ckafka, share| Plan::of(&placed(ckafka), &options(share)).unwrap().group;
        assert_eq!(group(ckafka(), false), "fnlite-default.hello.ckafka-8tfxzia3-lines-77");
        assert_eq!(group(ckafka(), true), "fnlite-default.hello.ckafka-8tfxzia3-lines");
        let named = Ckafka { consumer_group: "g".into(), ..ckafka() };
        assert_eq!((group(named.clone(), false), group(named, true)), ("g".to_owned(), "g".to_owned()));
        let member = Options { member: "box".into(), ..options(true) };
        let plan = Plan::of(&placed(ckafka()), &member).unwrap();
        assert_eq!(plan.member, "box-default.hello.ckafka-8tfxzia3-lines");
    }
}
