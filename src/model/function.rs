//! What is deployed: a function's names, its configuration and the version that runs.
//!
//! A value of these types is valid by construction where a constructor exists; the doors parse text into them and
//! never check rules of their own.

use std::fmt;

use crate::error::{About, Error, Result};
use crate::model::layer::{LayerRef, check_layers};
use crate::model::limits;
use crate::model::namespace::check_description;
use crate::model::runtime::{Language, Runtime};
use crate::model::status::Status;

/// The qualifier of the living version (contract 6.7).
pub const LATEST: &str = "$LATEST";

/// What is stored of a function that is being changed, until its new code has been loaded once.
pub const NEXT: &str = "$NEXT";

/// The namespace a request without one means.
pub const NAMESPACE_DEFAULT: &str = "default";

/// A function's name: 2 to 60 letters, digits, `-` and `_`, beginning with a letter, not ending in `-` or `_`
/// (contract 6.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionName(String);

/// A namespace's name; the same grammar as a function's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(String);

impl FunctionName {
    /// Checks the grammar.
    pub fn parse(text: &str) -> Result<FunctionName> {
        check_name("name", text)
            .map_err(|error| error.about(About::Name))
            .map(|()| FunctionName(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Namespace {
    /// Checks the grammar.
    pub fn parse(text: &str) -> Result<Namespace> {
        check_name("namespace", text)
            .map_err(|error| error.about(About::Namespace))
            .map(|()| Namespace(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace(NAMESPACE_DEFAULT.to_owned())
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks the rule that is about both names: together they are at most [`limits::NAMES_CHARS_MAX`] characters.
pub fn check_names(namespace: &Namespace, name: &FunctionName) -> Result<()> {
    if namespace.as_str().len() + name.as_str().len() <= limits::NAMES_CHARS_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "namespace and name together must be at most {} characters",
        limits::NAMES_CHARS_MAX
    )))
}

/// Whether there are only letters, digits, `-` and `_`, the first of them a letter.
pub(super) fn is_word(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether the last is a letter or a digit.
pub(super) fn ends_whole(text: &str) -> bool {
    text.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric())
}

/// The refusal of a function that is not there.
pub(crate) fn no_function(namespace: &Namespace, name: &FunctionName) -> Error {
    Error::not_found(format!("there is no function {name} in {namespace}")).about(About::Function)
}

fn check_name(field: &str, text: &str) -> Result<()> {
    let length_ok = (limits::NAME_CHARS_MIN..=limits::NAME_CHARS_MAX).contains(&text.len());
    if length_ok && is_word(text) && ends_whole(text) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{field} must be {} to {} letters, digits, '-' or '_', begin with a letter and end with a letter or digit",
        limits::NAME_CHARS_MIN,
        limits::NAME_CHARS_MAX
    )))
}

/// Where execution begins: `file.function` in the package root, for Go the name of the program there, for a Custom Runtime
/// what its `bootstrap` makes of it (contract 1.1, D26).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    text: String,
    /// Where file and function part, in languages that have both.
    dot: Option<usize>,
}

/// Longest handler of a Custom Runtime, characters: as long as the longest of the others.
const FREE_HANDLER_CHARS_MAX: usize = 121;

impl Handler {
    /// Checks `text` against the grammar of the runtime's language. Each segment is 2 to 60 letters, digits, `_` and
    /// `-`, beginning and ending with a letter (contract 1.1); ends that are digits or `_` are accepted too, since
    /// Python names carry them.
    pub fn parse(text: &str, language: Language) -> Result<Handler> {
        let segment_ok = |segment: &str| {
            (1..=60).contains(&segment.len())
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
                && segment.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        };
        let dot = text.find('.');
        let (ok, rule) = match language {
            Language::Python | Language::NodeJs | Language::Php => (
                dot.is_some_and(|dot| segment_ok(&text[..dot]) && segment_ok(&text[dot + 1..])),
                "file.function, for example index.main_handler: two parts of 1 to 60 letters, digits, '_' or '-' that \
                 begin with a letter or '_', the file in the package root",
            ),
            Language::Go => (
                segment_ok(text),
                "the name of the program in the package root, for example main: 1 to 60 letters, digits, '_' or '-', \
                 beginning with a letter or '_'",
            ),
            Language::Custom => (
                (1..=FREE_HANDLER_CHARS_MAX).contains(&text.chars().count())
                    && !text.contains(char::is_control),
                "1 to 121 characters, none of them a control character",
            ),
        };
        if !ok {
            return Err(Error::invalid(format!("handler must be {rule}")).about(About::Handler));
        }
        let dot = if matches!(language, Language::Go | Language::Custom) { None } else { dot };
        Ok(Handler { text: text.to_owned(), dot })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The file, without its extension; the whole where there is no function to name.
    pub fn file(&self) -> &str {
        self.dot.map_or(&self.text, |dot| &self.text[..dot])
    }

    /// The function within the file; empty where the handler names none.
    pub fn function(&self) -> &str {
        self.dot.map_or("", |dot| &self.text[dot + 1..])
    }
}

/// What of the network a function reaches. What a host cannot give is refused; a function never gets more than it asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkPolicy {
    /// The host's own network, loopback included.
    #[default]
    Host,
    /// A loopback of its own and nothing else.
    None,
    /// The world outside, but neither the host's own addresses and ports nor link-local ones.
    NoLocal,
}

impl NetworkPolicy {
    /// Every policy, in the order messages list them.
    pub const ALL: [NetworkPolicy; 3] = [NetworkPolicy::Host, NetworkPolicy::None, NetworkPolicy::NoLocal];

    /// Reads a policy's name.
    pub fn parse(text: &str) -> Result<NetworkPolicy> {
        NetworkPolicy::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or_else(|| {
            let names = NetworkPolicy::ALL.map(NetworkPolicy::as_str).join(", ");
            Error::invalid(format!("network must be one of {names}"))
        })
    }

    /// The name as users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            NetworkPolicy::Host => "host",
            NetworkPolicy::None => "none",
            NetworkPolicy::NoLocal => "no-local",
        }
    }
}

/// How the processes of a function come to be. By default each run has a fresh one, forked from one that has the code loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// One that returned runs the next event as well, as in the cloud: what its code keeps in memory stays.
    pub reuse: bool,
    /// Each is started and loads the code by itself; none is forked.
    pub spawn: bool,
}

/// Environment variables of a function, in the order they were given.
pub type Env = Vec<(String, String)>;

/// Checks environment variables: keys `[a-zA-Z][a-zA-Z0-9_]*` without the platform's prefixes, no empty value, 4 KB in
/// all (contract 2.5).
pub fn check_env(env: &Env) -> Result<()> {
    for (key, value) in env {
        let key_ok = key.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !key_ok {
            return Err(Error::invalid(
                "env keys must begin with a letter and hold letters, digits and '_' only",
            ));
        }
        let reserved = ["SCF_", "QCLOUD_", "TENCENTCLOUD_"];
        if let Some(prefix) = reserved.iter().find(|prefix| key.starts_with(**prefix)) {
            return Err(Error::invalid(format!(
                "env keys must not begin with {prefix}, which belongs to the platform"
            ))
            .about(About::EnvReserved));
        }
        if value.is_empty() || value.contains('\0') {
            return Err(Error::invalid(format!("env value of {key} must not be empty or contain NUL")));
        }
        if env.iter().filter(|(other, _)| other == key).count() > 1 {
            return Err(Error::invalid(format!("env key {key} is given twice")));
        }
    }
    let bytes: usize = env.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > limits::ENV_BYTES_MAX {
        return Err(Error::invalid(format!(
            "env must be at most {} bytes in all, not {bytes}",
            limits::ENV_BYTES_MAX
        ))
        .about(About::EnvSize));
    }
    Ok(())
}

/// How a function's asynchronous events are tried (contract 4.4, 6.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventConfig {
    /// How often an event is tried again after execution errors.
    pub retry_num: u32,
    /// How old an event may get before it is given up, seconds.
    pub msg_ttl_s: u32,
    /// The function of the same namespace that is sent what was given up.
    pub dead_letter: Option<FunctionName>,
}

impl Default for EventConfig {
    fn default() -> EventConfig {
        EventConfig {
            retry_num: limits::RETRY_NUM_DEFAULT,
            msg_ttl_s: limits::MSG_TTL_S_DEFAULT,
            dead_letter: None,
        }
    }
}

/// What is kept of a caller's words about the cloud where he said none.
pub const ECHO_NONE: &str = "{}";

/// What a user configures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What runs the code.
    pub runtime: Runtime,
    /// Where execution begins.
    pub handler: Handler,
    /// How long a run may take, seconds.
    pub timeout_s: u32,
    /// How long loading the code may take, seconds.
    pub init_timeout_s: u32,
    /// Memory of one run, MB.
    pub memory_mb: u32,
    /// Memory this function may use at once over all its runs, MB; 0 switches it off; none means a share of the total.
    pub reserved_mb: Option<u32>,
    /// What of the network its runs reach.
    pub network: NetworkPolicy,
    /// How its processes come to be.
    pub processes: Processes,
    /// How its asynchronous events are tried.
    pub event: EventConfig,
    /// How long its records and logs are kept, seconds; none means as long as everybody's.
    pub keep_s: Option<u32>,
    /// The user's environment variables.
    pub env: Env,
    /// Free text.
    pub description: String,
    /// What is unpacked into /opt, in order: what a later one has covers what an earlier one has.
    pub layers: Vec<LayerRef>,
    /// What a caller of the TencentCloud API said that means nothing on one host and is kept to be given back: a JSON object
    /// that only that door reads.
    pub echo: String,
}

impl Config {
    /// What a deploy means that says no more than these.
    pub fn new(runtime: Runtime, handler: Handler) -> Config {
        Config {
            runtime,
            handler,
            timeout_s: limits::TIMEOUT_S_DEFAULT,
            init_timeout_s: limits::INIT_TIMEOUT_S_DEFAULT,
            memory_mb: limits::MEMORY_MB_DEFAULT,
            reserved_mb: None,
            network: NetworkPolicy::default(),
            processes: Processes::default(),
            event: EventConfig::default(),
            keep_s: None,
            env: Env::new(),
            description: String::new(),
            layers: Vec::new(),
            echo: ECHO_NONE.to_owned(),
        }
    }

    /// What a deploy that says nothing means, for tests.
    #[cfg(test)]
    pub(crate) fn usual() -> Config {
        let runtime = Runtime::parse("Python3.10").expect("it is a runtime");
        let handler = Handler::parse("index.main_handler", runtime.language).expect("it is a handler");
        Config::new(runtime, handler)
    }

    /// Checks every number and text against [`limits`]; the message names the field and the allowed range.
    pub fn check(&self) -> Result<()> {
        in_range("timeout_s", self.timeout_s, limits::TIMEOUT_S_MIN, limits::TIMEOUT_S_MAX)
            .map_err(|error| error.about(About::Timeout))?;
        in_range(
            "init_timeout_s",
            self.init_timeout_s,
            limits::INIT_TIMEOUT_S_MIN,
            limits::INIT_TIMEOUT_S_MAX,
        )
        .map_err(|error| error.about(About::InitTimeout))?;
        if self.processes.reuse && !self.runtime.language.is_loaded_by_us() {
            return Err(Error::invalid(format!(
                "reuse is for functions in Python, Node.js and PHP, not for {}",
                self.runtime.language.name()
            )));
        }
        in_range("retry_num", self.event.retry_num, 0, limits::RETRY_NUM_MAX)
            .map_err(|error| error.about(About::RetryNum))?;
        in_range("msg_ttl_s", self.event.msg_ttl_s, limits::MSG_TTL_S_MIN, limits::MSG_TTL_S_MAX)
            .map_err(|error| error.about(About::MsgTtl))?;
        if let Some(keep_s) = self.keep_s {
            in_range("keep_s", keep_s, limits::KEEP_S_MIN, limits::KEEP_S_MAX)?;
        }
        let steps = self.memory_mb.is_multiple_of(limits::MEMORY_MB_STEP) && self.memory_mb > 0;
        if !(self.memory_mb == limits::MEMORY_MB_MIN || steps && self.memory_mb <= limits::MEMORY_MB_MAX) {
            return Err(Error::invalid(format!(
                "memory_mb must be {}, or {} to {} in steps of {}",
                limits::MEMORY_MB_MIN,
                limits::MEMORY_MB_STEP,
                limits::MEMORY_MB_MAX,
                limits::MEMORY_MB_STEP
            ))
            .about(About::MemoryMb));
        }
        check_description(&self.description)?;
        check_layers(&self.layers)?;
        if self.echo.len() > limits::ECHO_BYTES_MAX {
            return Err(Error::limit(format!(
                "tags and settings of the cloud must be at most {} bytes of JSON",
                limits::ECHO_BYTES_MAX
            )));
        }
        check_env(&self.env)
            .map_err(|error| if error.about == About::Nothing { error.about(About::Env) } else { error })
    }
}

fn in_range(field: &str, value: u32, min: u32, max: u32) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(format!("{field} must be {min} to {max}, not {value}")))
}

/// SHA-256 of a code archive, which is also its address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads 64 hexadecimal digits, upper or lower case.
    pub fn parse(text: &str) -> Option<Digest> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[place..place + 2], 16).ok()?;
        }
        Some(Digest(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a deploy takes for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Nothing.
    Always,
    /// That there is no function of that name.
    New,
    /// That the function's `$LATEST` is the version of that id.
    Over(i64),
}

/// A function as it stands: names, living configuration, code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Row id; stays the same over redeploys.
    pub id: i64,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: FunctionName,
    /// The version `$LATEST` stands for now.
    pub version: Version,
    /// How it stands.
    pub status: Status,
    /// First deployed, microseconds since the epoch.
    pub created_us: i64,
    /// Last deployed, microseconds since the epoch.
    pub modified_us: i64,
}

/// Frozen configuration and code: what an Instance runs. Each deploy makes a new one, so an Instance of an older one
/// can always be told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Row id; new with every deploy.
    pub id: i64,
    /// The function it belongs to.
    pub function_id: i64,
    /// `$LATEST`, or a number once published.
    pub qualifier: String,
    /// Its configuration.
    pub config: Config,
    /// Its code.
    pub package: Digest,
    /// Size of the code archive, bytes.
    pub package_bytes: u64,
    /// The content of its layers, in order.
    pub layer_packages: Vec<Digest>,
    /// When it was deployed or published, microseconds since the epoch.
    pub created_us: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in ["ab", "hello", "Hello-World_2", &"a".repeat(60)] {
            assert!(FunctionName::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", "a", "1ab", "-ab", "ab-", "ab_", "a b", "a/b", "a.b", "héllo", "..", "a\0b", &"a".repeat(61)]
        {
            assert!(FunctionName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn handlers_stay_in_the_package_root() {
        for good in ["index.main_handler", "my-app.h2", "_a._b"] {
            assert!(Handler::parse(good, Language::Python).is_ok(), "{good}");
        }
        for bad in [
            "",
            "index",
            "index.",
            ".handler",
            "../index.main",
            "src/index.main",
            "a.b.c",
            "a b.c",
            "index.h\0",
        ] {
            for language in [Language::Python, Language::NodeJs, Language::Php] {
                assert!(Handler::parse(bad, language).is_err(), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_program_is_named_and_a_bootstrap_is_told_what_it_likes() {
        let parse = |text: &str, language| Handler::parse(text, language).map(|it| it.file().to_owned());
        assert_eq!(parse("main", Language::Go).unwrap(), "main");
        for bad in ["", "../main", "a/b", "main.main", "a b", ".", ".."] {
            assert!(parse(bad, Language::Go).is_err(), "{bad:?}");
        }
        for good in ["index.main_handler", "a/b c", "何でも", "main"] {
            assert_eq!(parse(good, Language::Custom).unwrap(), good);
        }
        for bad in ["", "a\nb", "a\0", &"x".repeat(122)] {
            assert!(parse(bad, Language::Custom).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_network_policy_is_one_of_three() {
        for policy in NetworkPolicy::ALL {
            assert_eq!(NetworkPolicy::parse(policy.as_str()).unwrap(), policy);
        }
        for bad in ["", "Host", "no_local", "none ", "vpc"] {
            let refused = NetworkPolicy::parse(bad).unwrap_err().message;
            assert_eq!(refused, "network must be one of host, none, no-local", "{bad:?}");
        }
    }

    #[test]
    fn memory_is_64_or_a_step_of_128() {
        for (memory_mb, good) in [
            (64, true),
            (128, true),
            (256, true),
            (3072, true),
            (0, false),
            (100, false),
            (192, false),
            (3200, false),
        ] {
            assert_eq!(Config { memory_mb, ..Config::usual() }.check().is_ok(), good, "{memory_mb}");
        }
    }

    #[test]
    fn the_platforms_variables_cannot_be_set() {
        let env = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        assert!(check_env(&env("GREETING", "hi")).is_ok());
        for (key, value) in
            [("SCF_X", "1"), ("TENCENTCLOUD_REGION", "1"), ("1A", "1"), ("A-B", "1"), ("", "1"), ("A", "")]
        {
            assert!(check_env(&env(key, value)).is_err(), "{key}={value}");
        }
        assert!(check_env(&env("A", &"x".repeat(limits::ENV_BYTES_MAX))).is_err());
    }
}
