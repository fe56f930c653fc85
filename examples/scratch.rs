#![allow(clippy::all, clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, missing_docs)]
use fnlite::base::clock::*;
use fnlite::base::id::*;
use fnlite::instance::{
    host::*,
    package::{self, cache::Packages},
    run::*,
};
use fnlite::model::{function::*, invocation::*, log::LogLine, runtime::*};
use fnlite::pool::Pool;
use std::sync::Arc;
struct L;
impl Listener for L {
    fn loaded(&mut self, i: Init, f: bool) {
        println!("loaded {i:?} first {f}");
    }
    fn lines(&mut self, l: Vec<LogLine>) {
        println!("lines {l:?}");
    }
}
struct Q;
impl Listener for Q {
    fn loaded(&mut self, _: Init, _: bool) {}
    fn lines(&mut self, _: Vec<LogLine>) {}
}
fn main() {
    if std::env::args().nth(1).as_deref() == Some("__launch") {
        fnlite::instance::launch::main();
        return;
    }
    env_logger::builder().filter_level(log::LevelFilter::Debug).init();
    let file = std::env::args().nth(1).unwrap();
    let level: u8 = std::env::args().nth(2).map_or(3, |t| t.parse().unwrap());
    let n: usize = std::env::args().nth(3).map_or(1, |t| t.parse().unwrap());
    let threads: usize = std::env::args().nth(4).map_or(1, |t| t.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let t = clock.now();
    let account = Account { region: "ap-guangzhou".into(), appid: "1".into(), uin: "2".into() };
    let host = Arc::new(Host::new(level, account, vec!["/usr/bin".into()], dir.path().join("tmp")));
    println!("sandbox {:?} in {:?}", host.sandbox, clock.now() - t);
    let zip = package::pack::from_files(&[("index.py".to_owned(), std::fs::read_to_string(file).unwrap())])
        .unwrap();
    let digest = package::digest(&zip);
    let pool = Arc::new(
        Pool::new(
            host,
            Packages::open(&dir.path().join("packages")).unwrap(),
            Box::new(move |_| Ok(zip.clone())),
            clock.clone(),
            4096,
        )
        .unwrap(),
    );
    let config = Config {
        runtime: Runtime::parse("Python3.11").unwrap(),
        handler: Handler::parse("index.main_handler", Language::Python).unwrap(),
        timeout_s: 3,
        init_timeout_s: 10,
        memory_mb: 256,
        reserved_mb: None,
        env: vec![],
        description: String::new(),
    };
    let version = Arc::new(Version {
        id: 1,
        function_id: 1,
        qualifier: "$LATEST".into(),
        config,
        package: digest,
        package_bytes: 1,
    });
    let names = Arc::new(FunctionNames { namespace: "default".into(), name: "hello".into() });
    let one = move |quiet: bool| {
        let inv = Invocation {
            id: 1,
            request_id: SystemIds.request_id(1),
            version: version.clone(),
            function: names.clone(),
            event: Event(Arc::from(&b"{\"key\":\"abctest\"}"[..])),
            source: Source::Rest,
            created_us: 0,
        };
        if quiet {
            pool.run(&inv, &|| true, &mut Q).unwrap()
        } else {
            pool.run(&inv, &|| true, &mut L).unwrap()
        }
    };
    let one = Arc::new(one);
    let t = clock.now();
    let ran = one(false);
    println!(
        "{:?} {:?} lines {:?} mem {} dur {:?}",
        clock.now() - t,
        ran.outcome,
        ran.lines,
        ran.memory_kb,
        ran.duration
    );
    (ran.after)();
    let t = clock.now();
    let hs: Vec<_> = (0..threads)
        .map(|_| {
            let (one, clock) = (one.clone(), clock.clone());
            std::thread::spawn(move || {
                let mut v = vec![];
                let mut bad = 0;
                for _ in 0..n {
                    let t = clock.now();
                    let ran = one(true);
                    v.push(clock.now() - t);
                    if !matches!(ran.outcome, Outcome::Returned(_)) {
                        if bad < 3 {
                            println!("{:?} {:?}", ran.outcome, ran.lines);
                        }
                        bad += 1;
                    }
                    (ran.after)();
                }
                (v, bad)
            })
        })
        .collect();
    let mut all = vec![];
    for h in hs {
        let (v, bad) = h.join().unwrap();
        all.extend(v);
        if bad > 0 {
            println!("bad {bad}");
        }
    }
    let took = clock.now() - t;
    all.sort();
    println!(
        "n {} in {:?}: {:.0}/s p50 {:?} p99 {:?} max {:?}",
        all.len(),
        took,
        all.len() as f64 / took.as_secs_f64(),
        all[all.len() / 2],
        all[all.len() * 99 / 100],
        all[all.len() - 1]
    );
}
