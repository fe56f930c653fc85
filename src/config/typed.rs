//! What was typed: flags and `FNLITE_*` variables, which clap reads, and `fnlite.toml`, read into the same structs.
//!
//! Nothing is checked here but the shape. A new option is a field here, a line in `over`, and its meaning in the parent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::base::length::Length;
use crate::base::size::Size;
use crate::error::{Error, Result};

/// The file that is read when `--config` names none; it need not be there.
const FILE_DEFAULT: &str = "fnlite.toml";

/// Where things are; typed for every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TypedPlace {
    /// Configuration file
    #[arg(long, global = true, env = "FNLITE_CONFIG", value_name = "FILE", help_heading = "Where")]
    pub config: Option<PathBuf>,
    /// The database file [default: fnlite.db]
    #[arg(long, global = true, env = "FNLITE_DB", value_name = "FILE", help_heading = "Where")]
    pub db: Option<PathBuf>,
    /// The server's socket file [default: beside the database, fnlite.sock for fnlite.db]
    #[arg(long, global = true, env = "FNLITE_SOCKET", value_name = "FILE", help_heading = "Where")]
    pub socket: Option<PathBuf>,
}

/// How a command reaches its server, as typed.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TypedClient {
    /// A server elsewhere, for example http://127.0.0.1:9980 [default: the socket file]
    #[arg(long, global = true, env = "FNLITE_URL", value_name = "URL", help_heading = "Where")]
    pub url: Option<String>,
    /// The key to show it
    #[arg(
        long,
        global = true,
        env = "FNLITE_KEY",
        hide_env_values = true,
        value_name = "KEY",
        help_heading = "Where"
    )]
    pub key: Option<String>,
    /// The namespace of the functions meant [default: default]
    #[arg(long, short, global = true, env = "FNLITE_NAMESPACE", value_name = "NAME", help_heading = "Where")]
    pub namespace: Option<String>,
}

/// The options of `fnlite serve`, as typed.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TypedServe {
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:9980]
    #[arg(long, env = "FNLITE_LISTEN", value_name = "ADDR")]
    pub listen: Option<String>,
    /// Address and port on which the object storage alone listens; everywhere else it is reached by its hosts,
    /// BUCKET-APPID.cos.REGION.myqcloud.com [default: none]
    #[arg(long, env = "FNLITE_COS_LISTEN", value_name = "ADDR")]
    pub cos_listen: Option<String>,
    /// Refuse to start below this isolation level, 1 to 5 [default: 1]
    #[arg(long, env = "FNLITE_ISOLATION_MIN", value_name = "N")]
    pub isolation_min: Option<u8>,
    /// Stop at this isolation level even if the host gives more; for tests
    #[arg(long, env = "FNLITE_ISOLATION_MAX", value_name = "N", hide = true)]
    pub isolation_max: Option<u8>,
    /// Memory of all runs at once, MB; also bounds their number [default: 2048 for each core]
    #[arg(long, env = "FNLITE_TOTAL_CONCURRENCY_MB", value_name = "MB")]
    pub total_concurrency_mb: Option<u32>,
    /// Seal the environments of functions with the key in this file, which is made if it is not there. Keep a copy of it
    /// elsewhere: without it they cannot be read any more, nor can those in backups
    #[arg(long, env = "FNLITE_SEAL_KEY", value_name = "FILE")]
    pub seal_key: Option<PathBuf>,
    /// How long stopping waits for runs to end [default: 30s]
    #[arg(long, env = "FNLITE_DRAIN_TIMEOUT", value_name = "TIME")]
    pub drain_timeout: Option<Length>,
    /// How long runs and their logs are kept, where their function does not say otherwise; 0s for ever [default: 7d]
    #[arg(long, env = "FNLITE_KEEP", value_name = "TIME", help_heading = "What is kept")]
    pub keep: Option<Length>,
    /// What the database may hold before the oldest runs go; 0 without bound [default: 2GiB]
    #[arg(long, env = "FNLITE_KEEP_SIZE", value_name = "SIZE", help_heading = "What is kept")]
    pub keep_size: Option<Size>,
    /// How long dead letters are kept; 0s for ever [default: 30d]
    #[arg(long, env = "FNLITE_KEEP_DEAD", value_name = "TIME", help_heading = "What is kept")]
    pub keep_dead: Option<Length>,
    /// Free space on the database's disk below which log lines are not stored any more; below half of it no events and
    /// deploys, below a quarter no runs; 0 for never [default: 256MiB, or 2 % of the disk if that is less]
    #[arg(long, env = "FNLITE_DISK_LOW", value_name = "SIZE", help_heading = "What is kept")]
    pub disk_low: Option<Size>,
    /// Whether the words of log lines are indexed, which takes some 15 bytes a line and makes searching fast: on or off
    /// [default: on]
    #[arg(long, env = "FNLITE_FULL_TEXT", value_name = "WHETHER", help_heading = "What is kept")]
    pub full_text: Option<Switch>,
    /// Asynchronous events that may wait at once; more are refused for now [default: 100000]
    #[arg(long, env = "FNLITE_QUEUE_EVENTS", value_name = "N")]
    pub queue_events: Option<u64>,
    /// Size of the asynchronous events that may wait at once, MB [default: 1024]
    #[arg(long, env = "FNLITE_QUEUE_MB", value_name = "MB")]
    pub queue_mb: Option<u64>,
    /// How fast waits between attempts and ages of events pass; for tests
    #[arg(long, env = "FNLITE_EVENT_PACE", value_name = "FACTOR", hide = true)]
    pub event_pace: Option<f64>,
    /// The time zone of timers that name none, one of the IANA database [default: Asia/Shanghai, as in the cloud]
    #[arg(long, env = "FNLITE_TIMER_ZONE", value_name = "ZONE", help_heading = "Triggers")]
    pub timer_zone: Option<String>,
    /// How long a request to the API gateway waits for its function before it is answered with 504 [default: 15s]
    #[arg(long, env = "FNLITE_GATEWAY_TIMEOUT", value_name = "TIME", help_heading = "Triggers")]
    pub gateway_timeout: Option<Length>,
    /// Where others reach this server, as function URLs are shown [default: http:// and what it listens on]
    #[arg(long, env = "FNLITE_PUBLIC_URL", value_name = "URL", help_heading = "Triggers")]
    pub public_url: Option<String>,
    /// Names beside addresses, localhost and that of --public-url to which the console answers [default: none]
    #[arg(long, env = "FNLITE_CONSOLE_HOST", value_name = "NAME,...")]
    pub console_host: Option<String>,
    /// Kafka brokers of triggers that name none [default: none]
    #[arg(long, env = "FNLITE_KAFKA_BROKERS", value_name = "HOST:PORT,...", help_heading = "Kafka")]
    pub kafka_brokers: Option<String>,
    /// Whether this server is one of several that share the partitions of a topic, each in the same consumer group: on or off
    /// [default: off]
    #[arg(
        long,
        env = "FNLITE_KAFKA_SHARE",
        value_name = "WHETHER",
        num_args = 0..=1,
        default_missing_value = "on",
        help_heading = "Kafka"
    )]
    pub kafka_share: Option<Switch>,
    /// What this server is called in such a group, so that it has the same partitions after a restart, and nobody else meanwhile
    /// [default: no name]
    #[arg(long, env = "FNLITE_KAFKA_MEMBER", value_name = "NAME", help_heading = "Kafka")]
    pub kafka_member: Option<String>,
    /// What functions are told as their region [default: ap-guangzhou]
    #[arg(long, env = "FNLITE_REGION", value_name = "NAME", help_heading = "What functions are told")]
    pub region: Option<String>,
    /// ... as the account's application id [default: 1250000000]
    #[arg(long, env = "FNLITE_APPID", value_name = "ID", help_heading = "What functions are told")]
    pub appid: Option<String>,
    /// ... as the account's id [default: 100000000001]
    #[arg(long, env = "FNLITE_UIN", value_name = "ID", help_heading = "What functions are told")]
    pub uin: Option<String>,
    /// Open connections, at most half as many as files may be open [default: 10000]
    #[arg(
        long,
        env = "FNLITE_CONNECTIONS_MAX",
        value_name = "N",
        help_heading = "Limits of the HTTP server"
    )]
    pub connections_max: Option<usize>,
    /// From the first byte of a request's head to its last [default: 10s]
    #[arg(
        long,
        env = "FNLITE_HEAD_TIMEOUT",
        value_name = "TIME",
        help_heading = "Limits of the HTTP server"
    )]
    pub head_timeout: Option<Length>,
    /// How long a connection may stay without a request [default: 75s]
    #[arg(
        long,
        env = "FNLITE_IDLE_TIMEOUT",
        value_name = "TIME",
        help_heading = "Limits of the HTTP server"
    )]
    pub idle_timeout: Option<Length>,
    /// How long a client may take nothing of an answer [default: 30s]
    #[arg(
        long,
        env = "FNLITE_WRITE_TIMEOUT",
        value_name = "TIME",
        help_heading = "Limits of the HTTP server"
    )]
    pub write_timeout: Option<Length>,
    /// Request bodies held in memory, all together, MB; more go to files [default: 64]
    #[arg(
        long,
        env = "FNLITE_BODY_MEMORY_MB",
        value_name = "MB",
        help_heading = "Limits of the HTTP server"
    )]
    pub body_memory_mb: Option<u64>,
    /// Request bodies held in files, all together, MB; more are refused for now [default: 2048]
    #[arg(long, env = "FNLITE_BODY_SPOOL_MB", value_name = "MB", help_heading = "Limits of the HTTP server")]
    pub body_spool_mb: Option<u64>,
    /// How much the server says about itself: error, warn, info, debug or trace [default: info]
    #[arg(long, env = "FNLITE_LOG", value_name = "LEVEL")]
    pub log: Option<String>,
}

/// What `fnlite.toml` may hold: the same words as the flags.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) db: Option<PathBuf>,
    pub(super) socket: Option<PathBuf>,
    #[serde(default)]
    pub(super) client: TypedClient,
    #[serde(default)]
    pub(super) serve: TypedServe,
}

/// Reads the named file, or the default one where it is there.
pub(super) fn read_file(named: Option<&Path>) -> Result<File> {
    let path = named.unwrap_or(Path::new(FILE_DEFAULT));
    match fs::read_to_string(path) {
        Ok(text) => parse_file(&text).map_err(|why| Error::invalid(format!("{}: {why}", path.display()))),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(File::default()),
        Err(cause) => Err(Error::invalid(format!("{} cannot be read: {cause}", path.display()))),
    }
}

/// Reads the text of a configuration file; the error says what is wrong and where.
pub(super) fn parse_file(text: &str) -> std::result::Result<File, String> {
    toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
}

impl TypedClient {
    /// What was typed over what the file says.
    pub(super) fn over(self, file: TypedClient) -> TypedClient {
        // A key belongs to the address it was typed with; the file's key is not shown to another server.
        let key = if self.url.is_some() { self.key } else { self.key.or(file.key) };
        TypedClient { url: self.url.or(file.url), key, namespace: self.namespace.or(file.namespace) }
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

impl TypedServe {
    /// What was typed over what the file says.
    pub(super) fn over(self, file: TypedServe) -> TypedServe {
        TypedServe {
            listen: self.listen.or(file.listen),
            cos_listen: self.cos_listen.or(file.cos_listen),
            isolation_min: self.isolation_min.or(file.isolation_min),
            isolation_max: self.isolation_max.or(file.isolation_max),
            total_concurrency_mb: self.total_concurrency_mb.or(file.total_concurrency_mb),
            seal_key: self.seal_key.or(file.seal_key),
            drain_timeout: self.drain_timeout.or(file.drain_timeout),
            keep: self.keep.or(file.keep),
            keep_size: self.keep_size.or(file.keep_size),
            keep_dead: self.keep_dead.or(file.keep_dead),
            disk_low: self.disk_low.or(file.disk_low),
            full_text: self.full_text.or(file.full_text),
            queue_events: self.queue_events.or(file.queue_events),
            queue_mb: self.queue_mb.or(file.queue_mb),
            event_pace: self.event_pace.or(file.event_pace),
            timer_zone: self.timer_zone.or(file.timer_zone),
            gateway_timeout: self.gateway_timeout.or(file.gateway_timeout),
            console_host: self.console_host.or(file.console_host),
            public_url: self.public_url.or(file.public_url),
            kafka_brokers: self.kafka_brokers.or(file.kafka_brokers),
            kafka_share: self.kafka_share.or(file.kafka_share),
            kafka_member: self.kafka_member.or(file.kafka_member),
            region: self.region.or(file.region),
            appid: self.appid.or(file.appid),
            uin: self.uin.or(file.uin),
            connections_max: self.connections_max.or(file.connections_max),
            head_timeout: self.head_timeout.or(file.head_timeout),
            idle_timeout: self.idle_timeout.or(file.idle_timeout),
            write_timeout: self.write_timeout.or(file.write_timeout),
            body_memory_mb: self.body_memory_mb.or(file.body_memory_mb),
            body_spool_mb: self.body_spool_mb.or(file.body_spool_mb),
            log: self.log.or(file.log),
        }
    }
}
