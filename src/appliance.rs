//! Opens, starts, drains and stops the parts, in order.
//!
//! The order is that of what needs what: the database (whose lock keeps a second server away) before everything on disk, the
//! walls before the pool, listening last, so that whoever reaches us is answered. Stopping goes the other way: no new
//! requests, the ones in flight are answered, at the drain time-out runs are ended so that even their callers get an answer,
//! then processes, then the database.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use crate::api;
use crate::base::clock::{Clock, SystemClock};
use crate::base::id::{IdSource, SystemIds};
use crate::base::sys::{self, StopSignals};
use crate::base::thread;
use crate::config::{self, Serve};
use crate::error::{Error, Kind, Result};
use crate::http;
use crate::instance::host::{Account, Host};
use crate::instance::network::Policies;
use crate::instance::package::cache::Packages;
use crate::model::limits;
use crate::pool::Pool;
use crate::service::concurrency::Concurrency;
use crate::service::events::{self, Events};
use crate::service::indexing::Indexing;
use crate::service::invoke::Invoker;
use crate::service::keys::Keys;
use crate::service::loading::{self, Loading};
use crate::service::objects::Objects;
use crate::service::objects::event::Owner;
use crate::service::retention::Retention;
use crate::service::sessions;
use crate::service::triggers::Triggers;
use crate::store::objects::files::ObjectFiles;
use crate::store::{self, Store};
use crate::trigger::kafka::{self, Kafka};
use crate::trigger::timer::{self, Timers};

/// What the front waits longer than the runs do, so that the answers of runs we ended still go out.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// From here on a buffer is that of a large event or answer, which are few; the small ones of every run stay quick.
const LARGE_BYTES: i32 = 256 * 1024;

/// Threads beyond one per possible run: for everything that is no run.
const WORKERS_SPARE: usize = 16;

/// The first descriptor systemd passes (sd_listen_fds).
const PASSED_FROM: i32 = 3;

/// What is known once a server is ready.
#[derive(Debug)]
pub struct Ready {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where the object storage alone listens, if anywhere.
    pub cos_address: Option<SocketAddr>,
    /// A link that signs in to the console, once and for a while.
    pub console_url: String,
    /// The isolation level reached.
    pub isolation_level: u8,
    /// The key made at the first start on this file.
    pub first_key: Option<String>,
}

/// Serves until told to stop by SIGTERM or SIGINT; `announce` is called once, when requests are answered.
///
/// Fails with `Conflict` when another server has the file, `Invalid` when file, address or isolation cannot be had.
pub fn serve(options: Serve, announce: impl FnOnce(&Ready)) -> Result<()> {
    let signals = StopSignals::hold()?;
    let server = Server::start(options)?;
    announce(&server.ready);
    notify(&server.options, b"READY=1");
    signals.wait();
    log::info!("stopping");
    notify(&server.options, b"STOPPING=1");
    server.stop(Some(signals))
}

/// A server that answers.
pub struct Server {
    /// What is known of it.
    pub ready: Ready,
    options: Serve,
    parts: Parts,
    front: http::server::Server,
    /// The object storage's own, where it has one.
    cos_front: Option<http::server::Server>,
    settling: JoinHandle<()>,
    retention: Retention,
    loading: Loading,
    timers: Timers,
    kafka: Kafka,
    /// None where nothing is indexed.
    indexing: Option<Indexing>,
}

impl Server {
    /// Opens and starts the parts; fails as [`serve`] does.
    pub fn start(options: Serve) -> Result<Server> {
        sys::give_back_buffers_from(LARGE_BYTES);
        let parts = Parts::open(&options)?;
        let (front, address) = listen(&options, &parts)?;
        let cos_front = options.cos_listen.map(|at| listen_for_objects(at, &options, &parts)).transpose()?;
        let cos_address = cos_front.as_ref().and_then(|front| front.addresses().first().copied());
        parts.keys.listens_at(address);
        let public_url = options.triggers.public_url.clone();
        parts.triggers.reached_at(public_url.unwrap_or_else(|| format!("http://{address}")));
        let settling = settle(&parts)?;
        note(&parts);
        let retention = Retention::start(parts.store.clone(), Arc::clone(&parts.clock), options.keep)?;
        let start = || Indexing::start(parts.store.clone(), Arc::clone(&parts.clock));
        let indexing = options.full_text.then(start).transpose()?;
        // Made last: it is shown once, and a start that fails shows nothing.
        let first_key = parts.keys.ensure_first()?;
        parts.events.start()?;
        let isolation_level = parts.host.sandbox.level;
        let ticket = sessions::path_of(&parts.doors.sessions.ticket(None));
        let console_url = format!("{}{ticket}", parts.triggers.base_url().unwrap_or_default());
        let ready = Ready { address, cos_address, console_url, isolation_level, first_key };
        let loading = Loading::start(&parts.loads, &parts.calls)?;
        let timers = Timers::start(timer::Parts {
            store: parts.store.clone(),
            triggers: Arc::clone(&parts.triggers),
            events: Arc::clone(&parts.events),
            clock: Arc::clone(&parts.clock),
        })?;
        let kafka = kafka(&options, &parts)?;
        Ok(Server {
            ready,
            options,
            parts,
            front,
            cos_front,
            settling,
            retention,
            loading,
            timers,
            kafka,
            indexing,
        })
    }

    /// Lets runs end, at most until the drain time-out or one of `signals`, then stops everything.
    pub fn stop(mut self, signals: Option<StopSignals>) -> Result<()> {
        self.parts.stopping.store(true, Ordering::Relaxed);
        drop(self.timers);
        // Those that wait for an end are told to look now, those that follow the log that nothing comes any more.
        self.parts.store.end_listening();
        self.parts.events.stop();
        self.kafka.stop();
        self.parts.invoker.endings().close();
        // Its requests are answered by the disk, which takes no longer for knowing.
        drop(self.cos_front);
        drain(self.front, &self.parts, &mut self.kafka, signals, self.options.drain_timeout)?;
        // What is not there any more need not be removed.
        let _ = fs::remove_file(&self.options.socket);
        let _ = fs::remove_file(config::key_file(&self.options.socket));
        if self.settling.join().is_err() {
            log::error!("what could wait for the start had panicked");
        }
        // What is being loaded has no caller; the next server loads it.
        self.parts.pool.stop_runs();
        drop((self.retention, self.indexing, self.loading, self.kafka));
        let Parts {
            store,
            doors,
            rest,
            cos,
            objects,
            pool,
            events,
            invoker,
            loads,
            concurrency,
            triggers,
            ..
        } = self.parts;
        if let Err(error) = triggers.write_counts() {
            log::warn!("what has come of triggers lately could not be written: {error:#}");
        }
        // Processes go before the database that keeps their records.
        drop((doors, rest, cos, objects, concurrency, triggers, loads, events, invoker, pool));
        store.close();
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("ready", &self.ready).finish_non_exhaustive()
    }
}

struct Parts {
    clock: Arc<dyn Clock>,
    store: Store,
    host: Arc<Host>,
    pool: Arc<Pool>,
    invoker: Arc<Invoker>,
    events: Arc<Events>,
    packages: Arc<Packages>,
    keys: Arc<Keys>,
    concurrency: Arc<Concurrency>,
    triggers: Arc<Triggers>,
    loads: loading::Parts,
    calls: loading::Calls,
    doors: Arc<api::Parts>,
    rest: Arc<api::Doors>,
    cos: Arc<api::objects::Objects>,
    objects: Arc<Objects>,
    stopping: Arc<AtomicBool>,
}

impl Parts {
    fn open(options: &Serve) -> Result<Parts> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdSource> = Arc::new(SystemIds);
        let store_options = store::Options {
            path: options.db.clone(),
            external_checkpointer: false,
            seal_key: options.seal_key.clone(),
        };
        let store = Store::open(&store_options, Arc::clone(&clock))?;
        let folder = beside(&options.db);
        // When in doubt it stays.
        let wanted = |digest: &str| store.has_package(digest).unwrap_or(true);
        let packages = Arc::new(Packages::open(&folder.join("packages"), wanted)?);
        store.watch_room(options.disk_low_bytes)?;
        let host = Arc::new(host(options, &folder)?);
        let pool = Arc::new(pool(options, &store, &host, &packages, &clock)?);
        let invoker = Invoker::new(store.clone(), Arc::clone(&pool), Arc::clone(&clock), Arc::clone(&ids))?;
        let invoker = Arc::new(invoker);
        let kept = events::Parts { store: store.clone(), clock: Arc::clone(&clock), ids: Arc::clone(&ids) };
        let events = Events::open(kept, Arc::clone(&invoker), &pool, queue(options))?;
        let keys = Arc::new(Keys::new(store.clone(), Arc::clone(&ids))?);
        let socket_needs_key = socket_needs_key(&host);
        if socket_needs_key {
            write_key(&config::key_file(&options.socket), &keys.local_secret())?;
        }
        let stopping = Arc::new(AtomicBool::new(false));
        let (bell, calls) = loading::bell();
        let loads = loading::Parts {
            store: store.clone(),
            invoker: Arc::clone(&invoker),
            pool: Arc::clone(&pool),
            events: Arc::clone(&events),
        };
        let doors = Arc::new(api::Parts::of(api::Base {
            store: store.clone(),
            invoker: Arc::clone(&invoker),
            events: Arc::clone(&events),
            pool: Arc::clone(&pool),
            host: Arc::clone(&host),
            keys: Arc::clone(&keys),
            bell,
            clock: Arc::clone(&clock),
            files: ObjectFiles::open(&store, Arc::clone(&ids))?,
            owner: Owner { region: options.account.region.clone(), appid: options.account.appid.clone() },
            ids,
            stopping: Arc::clone(&stopping),
            total_mb_max: options.total_concurrency_mb,
            socket_needs_key,
            timer_zone: options.triggers.zone.clone(),
        }));
        let (concurrency, triggers) = (Arc::clone(&doors.concurrency), Arc::clone(&doors.triggers));
        let objects = Arc::clone(&doors.objects);
        let cos = Arc::new(api::objects::Objects::alone(Arc::clone(&doors)));
        let gateway = api::gateway::Options {
            appid: options.account.appid.clone(),
            patience: options.triggers.gateway_timeout,
        };
        let rest = api::Doors::new(Arc::clone(&doors), gateway, options.console_hosts.clone());
        let rest = Arc::new(rest);
        Ok(Parts {
            clock,
            store,
            host,
            pool,
            invoker,
            events,
            packages,
            keys,
            concurrency,
            triggers,
            loads,
            calls,
            doors,
            rest,
            cos,
            objects,
            stopping,
        })
    }
}

fn pool(
    options: &Serve,
    store: &Store,
    host: &Arc<Host>,
    packages: &Arc<Packages>,
    clock: &Arc<dyn Clock>,
) -> Result<Pool> {
    let total_mb = store.total_concurrency_mb()?;
    let store = store.clone();
    let gone = || Error::internal("a package is not in the database any more");
    let fetch = move |digest| store.package(digest)?.ok_or_else(gone);
    Pool::new(
        Arc::clone(host),
        Arc::clone(packages),
        Box::new(fetch),
        Arc::clone(clock),
        total_mb.unwrap_or(u32::MAX).min(options.total_concurrency_mb),
    )
}

fn queue(options: &Serve) -> events::Options {
    let threads_max = usize::try_from(options.total_concurrency_mb / limits::MEMORY_MB_MIN);
    let account = events::Account { appid: options.account.appid.clone(), uin: options.account.uin.clone() };
    events::Options {
        events_max: options.queue.events_max,
        bytes_max: options.queue.bytes_max,
        threads_max: threads_max.unwrap_or(usize::MAX).max(1),
        few: 2 * std::thread::available_parallelism().map_or(1, usize::from),
        pace: options.queue.pace,
        account,
    }
}

fn kafka(options: &Serve, parts: &Parts) -> Result<Kafka> {
    let config::Kafka { brokers, share, member } = options.kafka.clone();
    let with = kafka::Parts {
        triggers: Arc::clone(&parts.triggers),
        invoker: Arc::clone(&parts.invoker),
        events: Arc::clone(&parts.events),
        clock: Arc::clone(&parts.clock),
    };
    Kafka::start(with, kafka::Options { brokers, share, member, pace: options.queue.pace })
}

/// Where functions have the server's own user id and can reach its files' folders, opening the socket shows nothing
/// (D19).
fn socket_needs_key(host: &Host) -> bool {
    !(host.gives_users() || host.sandbox.level >= 3)
}

/// A file only this user may read.
fn write_key(path: &Path, secret: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let _ = fs::remove_file(path);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{secret}")
    };
    write().map_err(|cause| Error::invalid(format!("{} cannot be written: {cause}", path.display())))
}

/// The folder beside the database for what can be made again from it.
fn beside(db: &Path) -> PathBuf {
    // Absolute: without a view of their own, functions are shown its folders from another working directory.
    let mut name = std::path::absolute(db).unwrap_or_else(|_| db.to_owned()).into_os_string();
    name.push(".d");
    PathBuf::from(name)
}

fn host(options: &Serve, folder: &Path) -> Result<Host> {
    let account = Account {
        region: options.account.region.clone(),
        appid: options.account.appid.clone(),
        uin: options.account.uin.clone(),
    };
    let server = fs::metadata(&options.db)?.ino();
    let host =
        Host::new(options.isolation.max, account, options.search.clone(), &folder.join("tmp"), server)?;
    let sandbox = &host.sandbox;
    if sandbox.level < options.isolation.min {
        let why = sandbox.notes.join("; ");
        return Err(Error::invalid(format!(
            "isolation-min is {} and this host gives level {}: {why}",
            options.isolation.min, sandbox.level
        )));
    }
    sandbox.notes.iter().for_each(|note| log::warn!("isolation level {}: {note}", sandbox.level));
    host.limit_memory(options.total_concurrency_mb);
    Ok(host)
}

fn listen(options: &Serve, parts: &Parts) -> Result<(http::server::Server, SocketAddr)> {
    let mut listeners = tcp_listeners(options)?;
    listeners.push(socket_file(&options.socket)?);
    let runs_max = options.total_concurrency_mb / limits::MEMORY_MB_MIN;
    let workers = usize::try_from(runs_max).unwrap_or(usize::MAX).saturating_add(WORKERS_SPARE);
    let front = front_options(options, workers)?;
    let door: Arc<dyn http::Handler> = Arc::clone(&parts.rest) as _;
    let server = http::server::Server::start(listeners, front, door, Arc::clone(&parts.clock))?;
    let address = server.addresses().first().copied();
    let address = address.ok_or_else(|| Error::invalid("systemd passed no TCP socket to listen on"))?;
    Ok((server, address))
}

/// A front of its own for the object storage: it shares nothing with the other, so what large uploads take is no function's.
fn listen_for_objects(at: SocketAddr, options: &Serve, parts: &Parts) -> Result<http::server::Server> {
    let listeners = vec![tcp_listener(at)?];
    let front = front_options(options, WORKERS_SPARE)?;
    let door: Arc<dyn http::Handler> = Arc::clone(&parts.cos) as _;
    http::server::Server::start(listeners, front, door, Arc::clone(&parts.clock))
}

fn front_options(options: &Serve, workers: usize) -> Result<http::limits::Options> {
    Ok(http::limits::Options {
        workers,
        connections_max: options.front.connections_max,
        head_timeout: options.front.head_timeout,
        idle_timeout: options.front.idle_timeout,
        write_timeout: options.front.write_timeout,
        budget_memory_bytes: options.front.body_memory_bytes,
        budget_spool_bytes: options.front.body_spool_bytes,
        spool_dir: spool_folder(&options.db)?,
        drain_timeout: options.drain_timeout + LAST_ANSWERS,
        ..http::limits::Options::default()
    })
}

/// Large bodies are spooled beside the database: it is the disk they will be stored on.
fn spool_folder(db: &Path) -> Result<PathBuf> {
    let folder = beside(db).join("spool");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn tcp_listeners(options: &Serve) -> Result<Vec<http::listener::Listener>> {
    if options.passed_sockets > 0 {
        let passed = PASSED_FROM..PASSED_FROM + options.passed_sockets;
        let take =
            |number| Ok(http::listener::Listener::Tcp(TcpListener::from(sys::passed_descriptor(number)?)));
        return passed.map(take).collect();
    }
    Ok(vec![tcp_listener(options.listen)?])
}

fn tcp_listener(at: SocketAddr) -> Result<http::listener::Listener> {
    let listener = TcpListener::bind(at)
        .map_err(|cause| Error::invalid(format!("{at} cannot be listened on: {cause}")))?;
    Ok(http::listener::Listener::Tcp(listener))
}

/// The socket file, for this user only. One that is there was left by a server that was killed: the database's lock says
/// that none is alive.
fn socket_file(path: &Path) -> Result<http::listener::Listener> {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let refused = |cause| Error::invalid(format!("socket {} cannot be made: {cause}", path.display()));
    // Narrowed before it exists, so that nobody can connect in between.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path).map_err(refused);
    rustix::process::umask(before);
    Ok(http::listener::Listener::Unix(bound?))
}

/// Writes down which server has the file. A disk that is full is not to keep it from starting.
fn note(parts: &Parts) {
    let noted = parts.store.note_server(env!("CARGO_PKG_VERSION"), parts.host.sandbox.level);
    noted.unwrap_or_else(|error| log::warn!("the database does not tell of this server: {error:#}"));
}

/// What can wait until requests are answered: finds out and tells which network policies there are, and removes the unpacked
/// code that nothing deployed any more, and the files that no object has.
fn settle(parts: &Parts) -> Result<JoinHandle<()>> {
    let (host, packages) = (Arc::clone(&parts.host), Arc::clone(&parts.packages));
    let (concurrency, objects) = (Arc::clone(&parts.concurrency), Arc::clone(&parts.objects));
    let stopping = Arc::clone(&parts.stopping);
    thread::spawn("settle", move || {
        concurrency.restore();
        tell_policies(&host.policies_known());
        if let Err(error) = packages.sweep() {
            log::warn!("old unpacked code was not removed: {error:#}");
        }
        if let Err(error) = objects.sweep(|| stopping.load(Ordering::Relaxed)) {
            log::warn!("files that no object has were not removed: {error:#}");
        }
    })
}

fn tell_policies(policies: &Policies) {
    log::info!("network policies that functions may have: {}", policies.names().join(", "));
    for (name, given) in [("none", &policies.none), ("no-local", &policies.no_local)] {
        given.as_ref().err().inspect(|why| log::info!("network policy {name} is not to be had: {why}"));
    }
}

/// Answers what is in flight and lets events that run end; at the time-out, or at a second signal, what still runs is ended.
fn drain(
    server: http::server::Server,
    parts: &Parts,
    kafka: &mut Kafka,
    signals: Option<StopSignals>,
    patience: Duration,
) -> Result<()> {
    let pool = &parts.pool;
    let (done, waiting) = crossbeam_channel::bounded::<()>(0);
    let runs = Arc::clone(pool);
    let limit = thread::spawn("drain-limit", move || {
        if waiting.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            log::warn!("the drain time-out is over: what still runs is ended");
            runs.stop_runs();
        }
    })?;
    if let Some(signals) = signals {
        // Not joined: it waits for a signal that need not come. So it must keep nothing that has to end.
        let runs = Arc::downgrade(pool);
        thread::spawn("second-signal", move || {
            signals.wait();
            if let Some(pool) = runs.upgrade() {
                pool.stop_runs();
            }
        })?;
    }
    server.stop();
    parts.rest.join();
    parts.events.join();
    kafka.join();
    drop(done);
    limit.join().map_err(|_| Error::new(Kind::Internal, "the drain's clock had panicked"))
}

/// Tells systemd, if it wants to know (sd_notify).
fn notify(options: &Serve, state: &[u8]) {
    let Some(name) = &options.notify_socket else { return };
    if let Err(cause) = send_datagram(name, state) {
        log::warn!("systemd could not be told: {cause}");
    }
}

fn send_datagram(name: &OsStr, bytes: &[u8]) -> std::io::Result<()> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(hidden) => std::os::unix::net::SocketAddr::from_abstract_name(hidden)?,
        None => std::os::unix::net::SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(bytes, &address).map(drop)
}
