//! What was typed, and what it means.
//!
//! Step one gathers: flags and `FNLITE_*` variables (clap reads both; a flag beats its variable), then `fnlite.toml` for
//! what is still missing. The same structs read both, so every option is spelled once. Step two gives each option its
//! meaning: defaults, ranges, values that follow from others. The parts of the program see only the second.
//!
//! Here and in the child module the environment is read, and nowhere else.

use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::length::Length;
use crate::base::size::Size;
use crate::config::typed::{File, Switch, TypedClient, TypedPlace, TypedServe, read_file};
use crate::error::{Error, Result};
use crate::model::event::Pace;
use crate::model::limits;
use crate::model::schedule::Zone;
use crate::model::trigger::{brokers_in, is_broker};
use crate::service::retention::Keep;

pub mod typed;

/// Longest path of a socket file, bytes (`sun_path` less its NUL).
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Highest isolation level that exists in this release.
pub const ISOLATION_LEVEL_MAX: u8 = 5;

/// Where a command finds its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// How it is reached.
    pub reach: Reach,
    /// The namespace meant, not checked: that is the server's rule.
    pub namespace: String,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By its socket file, where no key is needed.
    Socket(PathBuf),
    /// By its address.
    Url {
        /// `http://host:port`.
        url: String,
        /// The key to show it, if any.
        key: Option<String>,
    },
}

/// What `fnlite serve` is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Serve {
    /// The database file; made where it is not there.
    pub db: PathBuf,
    /// Where to listen; port 0 means a free one.
    pub listen: SocketAddr,
    /// Where the object storage alone listens, if anywhere.
    pub cos_listen: Option<SocketAddr>,
    /// The file of the key that environments are sealed with, if they are.
    pub seal_key: Option<PathBuf>,
    /// The socket file, at most 107 bytes long.
    pub socket: PathBuf,
    /// Isolation levels allowed.
    pub isolation: Isolation,
    /// Memory of all runs at once, MB.
    pub total_concurrency_mb: u32,
    /// How long stopping waits for runs to end.
    pub drain_timeout: Duration,
    /// How long history is kept.
    pub keep: Keep,
    /// Free space on the database's disk below which things are given up, bytes; none for the store's own measure.
    pub disk_low_bytes: Option<u64>,
    /// Whether the words of log lines are indexed.
    pub full_text: bool,
    /// Bounds of the queue of asynchronous events.
    pub queue: Queue,
    /// How triggers fire.
    pub triggers: Triggers,
    /// Names to which the console answers, beside addresses and `localhost`.
    pub console_hosts: Vec<String>,
    /// How topics of Kafka are consumed.
    pub kafka: Kafka,
    /// What functions are told about where they run.
    pub account: Account,
    /// Bounds of the HTTP server.
    pub front: Front,
    /// How much the server says about itself.
    pub log: log::LevelFilter,
    /// Where systemd wants to hear that we are ready, if it started us.
    pub notify_socket: Option<OsString>,
    /// How many listening sockets systemd passed us, from descriptor 3 on (sd_listen_fds); they replace `listen`.
    pub passed_sockets: i32,
    /// Where interpreters are looked for, in order.
    pub search: Vec<PathBuf>,
}

/// Isolation levels between which a server may run, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// Below it the server does not start.
    pub min: u8,
    /// Above it nothing is tried.
    pub max: u8,
}

/// Bounds of the queue of asynchronous events.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Most events that wait or run.
    pub events_max: u64,
    /// Most bytes of their bodies.
    pub bytes_max: u64,
    /// How fast waits between attempts and ages of events pass (D28).
    pub pace: Pace,
}

/// How triggers fire.
#[derive(Clone, Debug, PartialEq)]
pub struct Triggers {
    /// The time zone of timers that name none.
    pub zone: Zone,
    /// How long the gateway waits for a function.
    pub gateway_timeout: Duration,
    /// Where others reach this server, without a slash at its end; none for where it listens.
    pub public_url: Option<String>,
}

/// How topics of Kafka are consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// Brokers of triggers that name none, `host:port`.
    pub brokers: Vec<String>,
    /// Whether other servers share the partitions.
    pub share: bool,
    /// What this server is called among them; empty for no name.
    pub member: String,
}

/// What functions are told about where they run: the cloud's words with values of our own (D15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The region.
    pub region: String,
    /// The account's application id, digits.
    pub appid: String,
    /// The account's id, digits.
    pub uin: String,
}

/// Bounds of the HTTP server that a flag may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    /// Open connections.
    pub connections_max: usize,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
    /// Bodies in memory together, bytes.
    pub body_memory_bytes: u64,
    /// Bodies in files together, bytes.
    pub body_spool_bytes: u64,
}

/// What a server is to do, from flags and file.
pub fn serve(place: TypedPlace, typed: TypedServe) -> Result<Serve> {
    let file = read_file(place.config.as_deref())?;
    let (db, socket) = place.over(&file)?;
    typed.over(file.serve).mean(db, socket, Surroundings::read())
}

/// The database file meant, from flags and file.
pub fn database(place: TypedPlace) -> Result<PathBuf> {
    let file = read_file(place.config.as_deref())?;
    Ok(place.over(&file)?.0)
}

/// Where a command finds its server, from flags and file.
pub fn client(place: TypedPlace, typed: TypedClient) -> Result<Client> {
    client_meant(place.clone(), typed, read_file(place.config.as_deref())?)
}

fn client_meant(place: TypedPlace, typed: TypedClient, file: File) -> Result<Client> {
    // Who types a file means the server that has it, whatever address the configuration holds.
    let is_here = typed.url.is_none() && (place.db.is_some() || place.socket.is_some());
    let (_, socket) = place.over(&file)?;
    let typed = typed.over(file.client);
    let reach = match typed.url {
        Some(url) if !is_here => Reach::Url { url, key: typed.key },
        _ => Reach::Socket(socket),
    };
    Ok(Client { reach, namespace: typed.namespace.unwrap_or_else(|| "default".to_owned()) })
}

/// Where the key for a socket file lies, on hosts where the socket alone does not show who may (D19).
pub fn key_file(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

/// Whether the person in front of the terminal asked for no colour (<https://no-color.org>).
pub fn no_color() -> bool {
    variable("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// What others put into our environment.
#[derive(Debug, Default)]
struct Surroundings {
    notify_socket: Option<OsString>,
    passed_sockets: i32,
    search: Vec<PathBuf>,
}

impl Surroundings {
    fn read() -> Surroundings {
        let number = |name| variable(name).and_then(|text| text.to_str()?.parse::<u32>().ok());
        // A parent may have meant somebody else: the variable survives forks, the process id tells.
        let is_ours = number("LISTEN_PID") == Some(std::process::id());
        let passed_sockets =
            number("LISTEN_FDS").filter(|_| is_ours).and_then(|count| i32::try_from(count).ok());
        let path = variable("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
        Surroundings {
            notify_socket: variable("NOTIFY_SOCKET"),
            passed_sockets: passed_sockets.unwrap_or(0),
            search: env::split_paths(&path).filter(|folder| folder.is_absolute()).collect(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the environment's home")]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

impl TypedPlace {
    /// The database and socket files meant.
    fn over(self, file: &File) -> Result<(PathBuf, PathBuf)> {
        let db = self.db.or_else(|| file.db.clone()).unwrap_or_else(|| PathBuf::from("fnlite.db"));
        if db.file_name().is_none() {
            return Err(Error::invalid("db must name a file"));
        }
        let socket = self.socket.or_else(|| file.socket.clone()).unwrap_or_else(|| db.with_extension("sock"));
        let bytes = socket.as_os_str().len();
        if !(1..=SOCKET_PATH_BYTES_MAX).contains(&bytes) {
            return Err(Error::invalid(format!(
                "socket must be a path of 1 to {SOCKET_PATH_BYTES_MAX} bytes, not {bytes}; --socket names a shorter one"
            )));
        }
        Ok((db, socket))
    }
}

impl TypedServe {
    fn mean(self, db: PathBuf, socket: PathBuf, surroundings: Surroundings) -> Result<Serve> {
        Ok(Serve {
            db,
            socket,
            seal_key: self.seal_key,
            notify_socket: surroundings.notify_socket,
            passed_sockets: surroundings.passed_sockets,
            search: surroundings.search,
            listen: listen("listen", self.listen.as_deref().unwrap_or("127.0.0.1:9980"))?,
            cos_listen: self.cos_listen.as_deref().map(|text| listen("cos-listen", text)).transpose()?,
            isolation: isolation(self.isolation_min, self.isolation_max)?,
            total_concurrency_mb: total_concurrency(self.total_concurrency_mb)?,
            drain_timeout: timeout("drain-timeout", self.drain_timeout, 30)?,
            keep: keep(self.keep, self.keep_size, self.keep_dead)?,
            disk_low_bytes: self.disk_low.map(|size| size.0),
            full_text: self.full_text != Some(Switch::Off),
            queue: Queue {
                events_max: within(
                    "queue-events",
                    self.queue_events.unwrap_or(limits::QUEUE_EVENTS_DEFAULT.into()),
                    1,
                    10_000_000,
                )?,
                bytes_max: self
                    .queue_mb
                    .map_or(Ok(limits::QUEUE_BYTES_DEFAULT), |size| mb("queue-mb", size))?,
                pace: Pace(within("event-pace", self.event_pace.unwrap_or(1.0), 0.000_001, 1.0)?),
            },
            triggers: Triggers {
                zone: self.timer_zone.as_deref().map(Zone::parse).transpose()?.unwrap_or_default(),
                gateway_timeout: timeout("gateway-timeout", self.gateway_timeout, 15)?,
                public_url: self.public_url.as_deref().map(public_url).transpose()?,
            },
            console_hosts: console_hosts(self.console_host.as_deref(), self.public_url.as_deref())?,
            kafka: Kafka {
                brokers: brokers(self.kafka_brokers.as_deref().unwrap_or_default())?,
                share: self.kafka_share == Some(Switch::On),
                member: member(self.kafka_member.unwrap_or_default())?,
            },
            account: Account {
                region: region(self.region.unwrap_or_else(|| "ap-guangzhou".to_owned()))?,
                appid: digits("appid", self.appid.unwrap_or_else(|| "1250000000".to_owned()))?,
                uin: digits("uin", self.uin.unwrap_or_else(|| "100000000001".to_owned()))?,
            },
            front: Front {
                connections_max: within(
                    "connections-max",
                    self.connections_max.unwrap_or(10_000),
                    16,
                    1_000_000,
                )?,
                head_timeout: timeout("head-timeout", self.head_timeout, 10)?,
                idle_timeout: timeout("idle-timeout", self.idle_timeout, 75)?,
                write_timeout: timeout("write-timeout", self.write_timeout, 30)?,
                body_memory_bytes: mb("body-memory-mb", self.body_memory_mb.unwrap_or(64))?,
                body_spool_bytes: mb("body-spool-mb", self.body_spool_mb.unwrap_or(2048))?,
            },
            log: level(self.log.as_deref().unwrap_or("info"))?,
        })
    }
}

fn listen(field: &str, text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| {
        Error::invalid(format!(
            "{field} must be an address and a port, for example 127.0.0.1:9980 or [::1]:9980, not {text:?}"
        ))
    })
}

/// The names listed, and that of the public URL: whoever follows its links is to arrive.
fn console_hosts(listed: Option<&str>, public_url: Option<&str>) -> Result<Vec<String>> {
    let names = listed.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut hosts = Vec::new();
    for name in names {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !is_name {
            return Err(Error::invalid(format!("console-host must be names without ports, not {name:?}")));
        }
        hosts.push(name.to_owned());
    }
    let public =
        public_url.and_then(|url| url.split("://").nth(1)).and_then(|rest| rest.split(['/', ':']).next());
    hosts.extend(public.map(str::to_owned));
    Ok(hosts)
}

fn public_url(text: &str) -> Result<String> {
    let authority = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let is_good = authority.is_some_and(|authority| !authority.trim_end_matches('/').is_empty())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"".contains(&byte));
    if is_good {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(Error::invalid(format!("public-url must be like https://box.example, not {text:?}")))
}

fn isolation(min: Option<u8>, max: Option<u8>) -> Result<Isolation> {
    let min = within("isolation-min", min.unwrap_or(1), 1, ISOLATION_LEVEL_MAX)?;
    let max = within("isolation-max", max.unwrap_or(ISOLATION_LEVEL_MAX), 1, ISOLATION_LEVEL_MAX)?;
    if min > max {
        return Err(Error::invalid(format!("isolation-min must be at most isolation-max, {max}, not {min}")));
    }
    Ok(Isolation { min, max })
}

fn total_concurrency(typed_mb: Option<u32>) -> Result<u32> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let default_mb = u32::try_from(cores)
        .unwrap_or(u32::MAX)
        .saturating_mul(limits::INSTANCES_PER_CORE * limits::MEMORY_MB_DEFAULT);
    within("total-concurrency-mb", typed_mb.unwrap_or(default_mb), limits::MEMORY_MB_DEFAULT, u32::MAX)
}

fn brokers(text: &str) -> Result<Vec<String>> {
    let brokers = brokers_in(text);
    match brokers.iter().find(|one| !is_broker(one)) {
        None => Ok(brokers),
        Some(odd) => Err(Error::invalid(format!("kafka-brokers must be HOST:PORT,..., not {odd:?}"))),
    }
}

fn member(text: String) -> Result<String> {
    let good = text.len() <= 100 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if good {
        Ok(text)
    } else {
        Err(Error::invalid("kafka-member must be at most 100 letters, digits, '.', '_' or '-'"))
    }
}

fn region(text: String) -> Result<String> {
    let good =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good { Ok(text) } else { Err(Error::invalid("region must be lower-case letters, digits and '-'")) }
}

fn digits(field: &str, text: String) -> Result<String> {
    let good = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if good { Ok(text) } else { Err(Error::invalid(format!("{field} must be 1 to 20 digits"))) }
}

fn timeout(field: &str, typed: Option<Length>, default_s: u64) -> Result<Duration> {
    let (min, max) = (Length(Duration::from_millis(100)), Length(Duration::from_secs(24 * 3600)));
    within(field, typed.unwrap_or(Length(Duration::from_secs(default_s))), min, max).map(|length| length.0)
}

/// Zero switches a bound off.
fn keep(age: Option<Length>, size: Option<Size>, dead: Option<Length>) -> Result<Keep> {
    let size = size.unwrap_or(Size(2 << 30));
    if size != Size(0) {
        within("keep-size", size, Size(1 << 20), Size(1 << 50))?;
    }
    Ok(Keep {
        age: kept("keep", age, 7)?,
        size_bytes: Some(size.0).filter(|bytes| *bytes > 0),
        dead: kept("keep-dead", dead, 30)?,
    })
}

fn kept(field: &str, typed: Option<Length>, default_days: u64) -> Result<Option<Duration>> {
    let seconds = |s: u32| Length(Duration::from_secs(s.into()));
    let length = typed.unwrap_or(Length(Duration::from_secs(default_days * 24 * 3600)));
    if length.0.is_zero() {
        return Ok(None);
    }
    let length = within(field, length, seconds(limits::KEEP_S_MIN), seconds(limits::KEEP_S_MAX))?;
    Ok(Some(length.0))
}

fn mb(field: &str, typed_mb: u64) -> Result<u64> {
    within(field, typed_mb, 1, 1024 * 1024).map(|mb| mb * 1024 * 1024)
}

fn level(text: &str) -> Result<log::LevelFilter> {
    match text.parse() {
        Ok(log::LevelFilter::Off) | Err(_) => {
            Err(Error::invalid(format!("log must be error, warn, info, debug or trace, not {text:?}")))
        }
        Ok(level) => Ok(level),
    }
}

fn within<T: PartialOrd + std::fmt::Display>(field: &str, value: T, min: T, max: T) -> Result<T> {
    if (min <= value) && (value <= max) {
        return Ok(value);
    }
    Err(Error::invalid(format!("{field} must be {min} to {max}, not {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::typed::parse_file;

    fn meaning(typed: TypedServe, file: &str) -> Result<Serve> {
        let file = parse_file(file).map_err(Error::invalid)?;
        let (db, socket) = TypedPlace::default().over(&file)?;
        typed.over(file.serve).mean(db, socket, Surroundings::default())
    }

    #[test]
    fn nothing_typed_means_the_defaults() {
        let serve = meaning(TypedServe::default(), "").unwrap();
        assert_eq!((serve.db, serve.socket), (PathBuf::from("fnlite.db"), PathBuf::from("fnlite.sock")));
        assert_eq!(serve.listen.to_string(), "127.0.0.1:9980");
        assert_eq!(serve.isolation, Isolation { min: 1, max: 5 });
        assert_eq!(serve.total_concurrency_mb % 2048, 0);
        assert_eq!(serve.drain_timeout, Duration::from_secs(30));
        let days = |days: u64| Some(Duration::from_secs(days * 24 * 3600));
        assert_eq!(serve.keep, Keep { age: days(7), size_bytes: Some(2_147_483_648), dead: days(30) });
    }

    #[test]
    fn nothing_of_a_bound_on_history_switches_it_off() {
        let file = "[serve]\nkeep = '0s'\nkeep-size = '0'\nkeep-dead = '0s'";
        let off = Keep { age: None, size_bytes: None, dead: None };
        assert_eq!(meaning(TypedServe::default(), file).unwrap().keep, off);
    }

    #[test]
    fn what_was_typed_beats_the_file() {
        let file = "db = '/data/x.db'\n[serve]\nlisten = '[::1]:80'\nlog = 'debug'\nidle-timeout = '5s'";
        let typed = TypedServe { log: Some("warn".to_owned()), ..TypedServe::default() };
        let serve = meaning(typed, file).unwrap();
        assert_eq!(serve.log, log::LevelFilter::Warn);
        assert_eq!(serve.listen.port(), 80);
        assert_eq!(serve.socket, PathBuf::from("/data/x.sock"));
        assert_eq!(serve.front.idle_timeout, Duration::from_secs(5));
    }

    #[test]
    fn wrong_values_name_the_option_and_the_range() {
        for (file, said) in [
            ("[serve]\nlisten = 'localhost'", "listen must be"),
            ("[serve]\nisolation-min = 9", "isolation-min must be 1 to 5, not 9"),
            ("[serve]\nisolation-min = 3\nisolation-max = 2", "isolation-min must be at most"),
            ("[serve]\ntotal-concurrency-mb = 1", "total-concurrency-mb must be 128 to"),
            ("[serve]\ndrain-timeout = '0s'", "drain-timeout must be 100ms to 1d"),
            ("[serve]\ndrain-timeout = '10'", "no length of time"),
            ("[serve]\nkeep = '59s'", "keep must be 1m to 3650d"),
            ("[serve]\nkeep-size = '2GB'", "no size"),
            ("[serve]\nkeep-size = '4KiB'", "keep-size must be 1MiB to 1024TiB"),
            ("[serve]\nlog = 'loud'", "log must be"),
            ("[serve]\nappid = 'x'", "appid must be"),
            ("[serve]\nkafka-brokers = 'a:1, b'", "kafka-brokers must be HOST:PORT,..., not \"b\""),
            ("[serve]\nkafka-member = 'a b'", "kafka-member must be"),
            ("[serve]\nlissen = ''", "unknown field"),
            ("port = 1", "unknown field"),
            ("db = '/'", "db must name a file"),
            ("not toml", "not toml"),
        ] {
            let error = meaning(TypedServe::default(), file).unwrap_err();
            assert!(error.message.contains(said), "{file}: {error}");
        }
        let long = format!("db = '/{}/x.db'", "a".repeat(120));
        assert!(meaning(TypedServe::default(), &long).unwrap_err().message.contains("socket must be"));
    }

    #[test]
    fn a_file_that_was_typed_beats_an_address_in_the_configuration() {
        let reached = |place: TypedPlace, typed: TypedClient| {
            let file = "db = 'x.db'\n[client]\nurl = 'http://home'\nkey = 'secret'";
            client_meant(place, typed, parse_file(file).unwrap()).unwrap().reach
        };
        let home = Reach::Url { url: "http://home".to_owned(), key: Some("secret".to_owned()) };
        assert_eq!(reached(TypedPlace::default(), TypedClient::default()), home);
        let db = TypedPlace { db: Some("y.db".into()), ..TypedPlace::default() };
        assert_eq!(reached(db.clone(), TypedClient::default()), Reach::Socket("y.sock".into()));
        let socket = TypedPlace { socket: Some("z.sock".into()), ..TypedPlace::default() };
        assert_eq!(reached(socket, TypedClient::default()), Reach::Socket("z.sock".into()));
        let typed = TypedClient { url: Some("http://typed".to_owned()), ..TypedClient::default() };
        assert_eq!(reached(db, typed), Reach::Url { url: "http://typed".to_owned(), key: None });
    }

    #[test]
    fn a_key_is_shown_only_to_the_server_it_belongs_to() {
        let file =
            || TypedClient { url: Some("http://home".into()), key: Some("secret".into()), namespace: None };
        let typed = TypedClient { url: Some("http://elsewhere".into()), ..TypedClient::default() };
        assert_eq!(typed.over(file()).key, None);
        assert_eq!(TypedClient::default().over(file()).key.as_deref(), Some("secret"));
    }
}
