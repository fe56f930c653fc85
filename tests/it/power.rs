//! Power is lost at any moment, and what was durably promised is there when it is back.
//!
//! A server runs with a recorder of its writes preloaded (`tests/power/writes.c`). Whenever it has promised something, the
//! test notes that between the writes. Then power is lost, on paper, after any of them (`power/disk.rs`), and what a disk
//! might hold then is opened by the store. A new kind of promise is a line in [`keeps`] and a note where it was answered.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fnlite::base::clock::SystemClock;
use fnlite::base::id::RequestId;
use fnlite::error::Result;
use fnlite::model::function::{FunctionName, Namespace};
use fnlite::store::{Options, Store};
use serde_json::json;

use crate::function::expression;
use crate::length::Rounds;
use crate::server::{Place, Server, program};
use disk::{Chance, Disk, ENDINGS, Entry, Fate, Files};

mod disk;

/// Moments at which power is lost.
fn moments_count() -> usize {
    Rounds { short: 300, all: 3000, soak: 3000 }.asked()
}

/// Each moment in turn; they are sorted by time, so every fate comes about everywhere.
const FATES: [Fate; 4] = [Fate::Gone, Fate::Some, Fate::Torn, Fate::There];

/// What survives a power cut once it was answered. A run that somebody waited for does not, so it is not among them.
const DURABLE: [&str; 3] = ["deploy", "key", "event"];

/// Whether what was promised is there.
fn keeps(store: &Store, files: &Files, promise: &[&str]) -> Result<bool> {
    match promise {
        ["key", name] => Ok(store.keys()?.iter().any(|key| key.name == *name)),
        ["deploy", name, number] => keeps_deploy(store, name, number.parse().unwrap()),
        ["sealed", secret] => Ok(files.iter().flatten().all(|content| !holds(content, secret))),
        ["event", id] => keeps_event(store, &RequestId::parse(id).unwrap()),
        ["run", id] => Ok(store.invocation(&RequestId::parse(id).unwrap())?.is_some()),
        _ => panic!("{promise:?} is no promise"),
    }
}

/// A later deploy may have taken its place, answered or not.
/// It has run, or will.
fn keeps_event(store: &Store, id: &RequestId) -> Result<bool> {
    Ok(store.invocation(id)?.is_some_and(|event| event.state.is_over() || event.due_us > 0))
}

fn keeps_deploy(store: &Store, name: &str, number: u32) -> Result<bool> {
    let name = FunctionName::parse(name)?;
    let Some(function) = store.function(&Namespace::default(), &name)? else { return Ok(false) };
    let stands: u32 = function.version.config.description.parse().unwrap();
    Ok(stands >= number && store.package(function.version.package)?.is_some())
}

#[test]
fn what_was_durably_promised_is_there_after_power_was_lost_at_any_moment() {
    let recording = Recording::make();
    let entries = disk::entries(&recording.log);
    check_complete(&recording, &entries);
    let durable = |promise: &[&str]| DURABLE.contains(&promise[0]);
    let moments = moments(&entries, moments_count());
    let found = lose_power(&entries, &moments, &FATES, None, durable);
    assert_eq!(found.losses, Vec::<String>::new());
    assert!(found.promises > 1000, "{} promises were looked for", found.promises);
    eprintln!("{} moments, {} entries, {} promises", moments.len(), entries.len(), found.promises);
}

/// With the key that was made, whatever was sealed by then; and once it has started, no trace of what was plain comes back.
#[test]
fn a_first_start_with_a_seal_key_may_be_cut_off_at_any_moment() {
    let mut recording = Recording::begin();
    let secret = "a-secret-of-many-words";
    let deploy = |server: &Server, log: &Log| {
        for number in 0..20 {
            let env = json!({ "SECRET": secret, "LONG": "x".repeat(100 + 100 * number) });
            let name = format!("with-secret-{}", number % 5);
            server.deploy(&name, &expression("1").with("description", number.to_string()).with("env", env));
            log.promise(&format!("deploy {name} {number}"));
        }
    };
    recording.live(&[], deploy, Server::kill9);
    let promise = |server: &Server, log: &Log| {
        log.promise(&format!("sealed {secret}"));
        server.deploy("later", &expression("1").with("description", "0"));
        log.promise("deploy later 0");
    };
    recording.live(&["--seal-key", "key"], promise, Server::kill9);
    let entries = disk::entries(&recording.log);
    check_complete(&recording, &entries);
    // Each in turn, from the last word of the server that had no key.
    let begun = entries.iter().position(|entry| *entry == Entry::Mark("deploy with-secret-4 19".to_owned()));
    let moments: BTreeSet<usize> = (begun.unwrap() + 1..entries.len()).collect();
    eprintln!("{} moments", moments.len());
    let found = lose_power(&entries, &moments, &FATES, Some(recording.file("key")), |_| true);
    assert_eq!(found.losses, Vec::<String>::new());
}

/// The two ways to be wrong: a promise that no sync came before, and a disk that says it has synced and has not.
#[test]
fn what_is_not_there_is_noticed() {
    let recording = Recording::make();
    let honest = disk::entries(&recording.log);
    let runs = |promise: &[&str]| promise[0] == "run";
    let lost = lose_power(&honest, &moments(&honest, 60), &[Fate::Gone], None, runs).losses;
    assert!(lost.iter().any(|loss| loss.contains("run")), "no run was lost of which nothing was synced");

    let is_kept = |entry: &Entry| !matches!(entry, Entry::Sync { file: 1 });
    let lying: Vec<Entry> = disk::entries(&recording.log).into_iter().filter(is_kept).collect();
    let durable = |promise: &[&str]| DURABLE.contains(&promise[0]);
    let lost = lose_power(&lying, &moments(&lying, 60), &[Fate::Gone], None, durable).losses;
    for kind in DURABLE {
        assert!(lost.iter().any(|loss| loss.contains(kind)), "no {kind} was lost though no sync was kept");
    }
}

/// What a server wrote to its database over some lives, and what it promised meanwhile.
struct Recording {
    log: PathBuf,
    /// None while a server lives.
    place: Option<Place>,
    /// Words that start it under the recorder.
    launcher: Vec<String>,
    _library: tempfile::TempDir,
}

impl Recording {
    /// Three lives: one that ends in order, one that is killed, and one that goes on from there.
    fn make() -> Recording {
        let mut recording = Recording::begin();
        recording.live(&[], |server, log| load(server, log, 0), Server::stop_in_order);
        recording.live(&[], |server, log| load(server, log, 1), Server::kill9);
        recording.live(&[], |server, log| load(server, log, 2), Server::kill9);
        recording
    }

    fn begin() -> Recording {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let library = folder.path().join("writes.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/power/writes.c");
        let mut compiler = program("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", source, "-o"]).arg(&library);
        assert!(compiler.status().unwrap().success(), "{source} does not compile");

        let place = Place::new();
        let db = place.db().parent().unwrap().canonicalize().unwrap().join("fnlite.db");
        let log = place.file("writes.log");
        let preload = format!("LD_PRELOAD={}", library.display());
        let (to, of) = (format!("POWER_LOG={}", log.display()), format!("POWER_DB={}", db.display()));
        let launcher = vec!["env".to_owned(), preload, to, of];
        Recording { log, place: Some(place), launcher, _library: folder }
    }

    /// A server's life, from its start to its `end`.
    fn live(
        &mut self,
        options: &[&str],
        load: impl FnOnce(&Server, &Log),
        end: impl FnOnce(Server) -> Place,
    ) {
        let launcher: Vec<&str> = self.launcher.iter().map(String::as_str).collect();
        let server = self.place.take().unwrap().serve_by(&launcher, options);
        load(&server, &Log(fs::OpenOptions::new().append(true).open(&self.log).unwrap()));
        self.place = Some(end(server));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.as_ref().unwrap().file(name)
    }
}

/// Where the test notes what was answered.
struct Log(fs::File);

impl Log {
    fn promise(&self, words: &str) {
        (&self.0).write_all(&disk::mark(words)).unwrap();
    }
}

/// Runs, deploys and new keys beside each other. Runs are large, so that the write-ahead log is copied into the file and begun
/// anew several times.
fn load(server: &Server, log: &Log, life: usize) {
    server.deploy("hello", &expression("event").with("description", life.to_string()));
    log.promise(&format!("deploy hello {life}"));
    let large = "x".repeat(60_000);
    std::thread::scope(|scope| {
        let large = &large;
        for lane in 0..2 {
            scope.spawn(move || {
                for _ in 0..15 {
                    let run = server.invoke("hello", format!("\"{large}\""));
                    log.promise(&format!("run {}", run.request_id));
                    run.returned();
                }
                // Beside the others, so that its commits are also those of batches.
                for number in 0..10 {
                    let number = (life * 10 + number).to_string();
                    let name = format!("lane-{lane}");
                    server.deploy(&name, &expression(&number).with("description", number.clone()));
                    log.promise(&format!("deploy {name} {number}"));
                    log.promise(&format!("event {}", server.accept("hello", &number)));
                }
            });
        }
        for number in 0..15 {
            let name = format!("key-{life}-{number}");
            let body = json!({ "name": name, "scope": "read" }).to_string();
            assert_eq!(server.call("POST", "/v1/keys", body.as_bytes()).status, 201);
            log.promise(&format!("key {name}"));
        }
    });
}

/// Nothing was written past the recorder: with every change made, the log gives the files that are there.
fn check_complete(recording: &Recording, entries: &[Entry]) {
    let mut disk = Disk::default();
    entries.iter().for_each(|entry| disk.note(entry));
    let files = disk.after_power_loss(Fate::There, &mut Chance(0));
    for (ending, content) in ENDINGS.iter().zip(files) {
        let path = recording.file(&format!("fnlite.db{ending}"));
        assert!(fs::read(&path).ok() == content, "{} is not what was recorded", path.display());
    }
}

/// As many right after a promise, when the least may have come behind it, as at any time.
fn moments(entries: &[Entry], count: usize) -> BTreeSet<usize> {
    let promised = |(at, entry): (usize, &Entry)| matches!(entry, Entry::Mark(_)).then_some(at + 1);
    let promised: Vec<usize> = entries.iter().enumerate().filter_map(promised).collect();
    let (mut moments, mut chance) = (BTreeSet::new(), Chance(1));
    assert!(count < entries.len() / 2, "only {} entries", entries.len());
    while moments.len() < count {
        moments.insert(promised[chance.below(promised.len())]);
        moments.insert(chance.below(entries.len()));
    }
    moments
}

struct Found {
    losses: Vec<String>,
    /// How often a promise was looked for.
    promises: usize,
}

/// Loses power before each of those entries, the fates taking turns, and looks for what was promised by then.
fn lose_power(
    entries: &[Entry],
    moments: &BTreeSet<usize>,
    fates: &[Fate],
    seal_key: Option<PathBuf>,
    counts: impl Fn(&[&str]) -> bool,
) -> Found {
    let (mut disk, mut chance, mut promised) = (Disk::default(), Chance(2), Vec::new());
    let mut found = Found { losses: Vec::new(), promises: 0 };
    let mut fates = fates.iter().cycle();
    for (at, entry) in entries.iter().enumerate() {
        if moments.contains(&at) {
            let fate = *fates.next().unwrap();
            let files = disk.after_power_loss(fate, &mut chance);
            let wrong = wrong_with(&files, seal_key.as_deref(), &promised);
            found.losses.extend(wrong.into_iter().map(|what| format!("{at}, {fate:?}: {what}")));
            found.promises += promised.len();
        }
        if let Entry::Mark(text) = entry {
            let words: Vec<&str> = text.split(' ').collect();
            if counts(&words) {
                promised.push(words);
            }
        }
        disk.note(entry);
    }
    found
}

/// What a server would miss that is started on those files.
fn wrong_with(files: &Files, seal_key: Option<&Path>, promised: &[Vec<&str>]) -> Vec<String> {
    let folder = tempfile::tempdir_in(memory()).unwrap();
    let path = folder.path().join("fnlite.db");
    for (ending, content) in ENDINGS.iter().zip(files) {
        if let Some(content) = content {
            fs::write(folder.path().join(format!("fnlite.db{ending}")), content).unwrap();
        }
    }
    let seal_key = seal_key.map(Path::to_owned);
    let options = Options { path, external_checkpointer: false, seal_key };
    let store = match Store::open(&options, Arc::new(SystemClock)) {
        Ok(store) => store,
        Err(error) => return vec![format!("it does not open: {error:#}")],
    };
    let mut wrong = store.integrity().unwrap_or_else(|error| vec![format!("{error:#}")]);
    let lost = |words: &&Vec<&str>| !keeps(&store, files, words).is_ok_and(|kept| kept);
    wrong.extend(promised.iter().filter(lost).map(|words| words.join(" ")));
    wrong
}

/// Where the copies go: in memory, if they can, since each is synced when it is opened.
fn memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|part| part == text.as_bytes())
}
