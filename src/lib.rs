//! fnlite: serverless functions on a small host, as one binary and one SQLite file.
//!
//! A person drops the binary on a box, deploys a function, calls it, and finds every run and every line it printed again: by
//! request id, by search, by SQL. Behaviour follows the event functions of Tencent Cloud SCF. Every invocation runs in a
//! process of its own that nothing outlives; what makes this quick is that the process is forked ahead of time from one that
//! has loaded the code.
//!
//! This page is the map. Each module's own page says what it keeps to itself and what its next editor must keep true.
//!
//! # The floors
//!
//! A module uses only floors below its own; a test reads the `use` lines and checks it.
//!
//! | floor | what it is |
//! |---|---|
//! | [`cli`], [`appliance`], [`config`] | command line to exit code; opening and stopping the parts in order; what was typed and what it means |
//! | [`api`] | the doors: each turns one wire format into calls of the services: [`api::rest`], [`api::tencent`] and [`api::objects`] for the cloud's own SDKs, [`api::gateway`] for whoever sends a function requests, and [`api::console`] for people |
//! | [`http`] | the transport: an event loop, whole requests, strict framing. Knows nothing of functions |
//! | [`trigger`] | something happened outside: it becomes an event and goes to the services |
//! | [`service`] | what the product can do, whoever asks. [`service::invoke`] is where all ways to invoke meet, [`service::events`] the queue of those that can wait |
//! | [`pool`] | many Instances: who runs what and when; quotas; what stays parked |
//! | [`instance`] | child processes: the launcher and its walls, the zygote, one run of one event |
//! | [`store`] | SQLite: one writer, two durabilities, readers with deadlines |
//! | [`search`] | the language in which lines are searched; pure |
//! | [`model`] | the nouns and their rules: plain data, no I/O, no JSON |
//! | [`error`], [`base`] | the one error type; clocks, ids, threads, the few raw system calls |
//!
//! # The life of an invocation
//!
//! 1. `http::event_loop` reads a whole, bounded request. The worker whose turn it was to run the loop hands that on and answers,
//!    behind a panic wall.
//! 2. [`api::Doors`] knows which door is meant. [`api::rest::Rest`] finds the route and checks the key, [`api::tencent::Tencent`]
//!    checks the signature and finds the action; either calls [`service::invoke::Invoker::invoke`].
//! 3. The invoker checks the event (its bytes are never re-encoded), resolves name and qualifier, by way of an
//!    [`Alias`](model::alias::Alias) where it is one, to a [`Version`](model::function::Version) from memory (a deploy makes it
//!    forget), and takes a run id.
//! 4. [`pool::Pool::run`] lets the run in if the quota allows, and takes a parked Instance of the Version; if there is none it
//!    forks one from the zygote, or starts the zygote first.
//! 5. `instance::run` writes one frame, or what a program of the user's understands (`instance::talk`), and waits, on the
//!    caller's own thread, for everything the process can say: answer, output, end. At the deadline the whole process tree dies. Either way there is an
//!    [`Outcome`](model::invocation::Outcome).
//! 6. [`store::Store::record`] hands record and log lines to the recorder, which writes them with many others in one
//!    transaction, and returns once that is committed.
//! 7. The door encodes the outcome and the worker writes it to the socket. Only then is the used Instance handed to the
//!    pool's keeper, which kills it and parks the next; or, if its function keeps processes for many events, parked again.
//!    From the first runs it learns what later Instances had better have in memory before their event comes (`instance::prefault`).
//!
//! # The life of an event that can wait
//!
//! 1. [`service::events::Events::accept`] writes its record, in state queued, and a narrow row of the table `queued`, in one
//!    commit that survives a power cut. Only then the caller hears its request id, and the event enters the line in memory,
//!    which knows ids and times and no bodies.
//! 2. A thread of `service::events::dispatch` takes the event whose turn it is once its function has room, and claims it: from
//!    that commit on, a crash tells that it was running.
//! 3. It runs like any other, by the invoker, on that thread. What follows is decided by [`model::event::next`] and stored with
//!    the record of the attempt in one transaction: it is over, or due again, or a dead letter.
//! 4. At a start the line is made again from `queued`; what had been claimed counts as an attempt, and as a death.
//!
//! # The life of a moment, and of anybody's request
//!
//! 1. The thread of [`trigger::timer`] sleeps until the next moment of any timer. What has come it hands to
//!    [`service::events::Events::fire`], which keeps each event in one commit with the fact that its moment was seen to; from then on
//!    it is an event that can wait.
//! 2. A request to a function's URL or to the gateway finds its way in [`api::gateway`] by a table of those triggers
//!    (`trigger::http::routes`), becomes an event (`trigger::http::event`), runs as any caller's does, and what is returned becomes the
//!    response (`trigger::http::reply`).
//! 3. [`service::triggers`] tells both when triggers have changed, and counts what comes of each.
//!
//! # The life of a message of Kafka
//!
//! 1. The poller of its trigger's consumer ([`trigger::kafka`]) fetches it and puts it on the board, to the others of its partition.
//! 2. Enough of them are a batch, which is one event. A worker takes it and calls
//!    [`service::invoke::Invoker::invoke`] like any door.
//! 3. If the run ended well, the worker commits the batch's offset at the broker. If not, the batch waits for its next try, and its
//!    partition with it; at last [`service::events::Events::bury`] makes it a dead letter, and it is committed.
//! 4. Whatever ends us before that, the broker gives the batch again.
//!
//! # The life of a deploy
//!
//! `PUT /v1/functions` replaces `$LATEST` at once. The cloud's actions leave what was sent beside what serves
//! ([`Haste`](store::functions::Haste)): a thread of [`service::loading`] loads it once, in the pool, where the first run will find
//! it, and only then it is put in force; or it is dropped, and the function says why. What is on its way is in the database, so
//! a crash forgets nothing. Publishing copies `$LATEST`'s row under a number that is not given twice; layers are unpacked over
//! each other into one folder, which is `/opt` of the runs.
//!
//! # The life of an object
//!
//! 1. [`api::objects`] checks the signature when the head of a request is here, and only then its body is taken, by the front, in
//!    memory or in a file. [`service::objects`] has it written to a file of its own (`store/objects/files`), which is on the disk
//!    before anything names it.
//! 2. The triggers that mean it are found, and for each the event is made and given its place in the queue, so that a full queue
//!    refuses the upload while nothing has changed.
//! 3. [`store::Store::put_object`] writes the object's row and its events in one transaction. Then the events enter the line, and
//!    the file of what was there before is removed.
//! 4. At a start files are removed that no row names: whoever wrote them was never answered.
//!
//! # The life of a visit to the console
//!
//! 1. [`api::console`] looks at the name of the host and at where the request comes from, and finds out what the visitor's session
//!    ([`service::sessions`]) may do.
//! 2. The page's function asks `/v1` as any client would, without a socket: [`api::rest`] serves the request by the session's
//!    right.
//! 3. What it answers is read by the types that commands read it with (`api/wire`), and becomes HTML, text by text.
//!
//! # The life of a log line
//!
//! 1. [`instance`] reads it from the run's pipes; the recorder commits it with the run's record, or, while a run lasts, every
//!    second. The bell rings that [`service::tail`] listens for, and whoever follows the log reads on from the line he has seen.
//! 2. Once the 16,384 ids of its block are used up, [`service::indexing`] has the words of the block packed and stored
//!    (`store/words`): never on the way of a run.
//! 3. [`service::search`] narrows a query to a run, a function, a stretch of time; [`store::Store::search`] walks the lines
//!    there, block by block, past those whose words cannot match; [`search::Query::matches`] has the last word.
//! 4. Or somebody asks in SQL: [`service::sql`], on connections that can read what the public views read and nothing else.
//!
//! # How a process tree is held
//!
//! Our own binary, started as `__launch`, builds the walls before any user code runs, starts the interpreter and turns into a
//! tiny init (`instance/shim/init.c`) that holds one end of a socket, the leash. When the server lets the other end go, by
//! will or by dying, that init kills everything below it. An Instance forked by a zygote has a cell to itself
//! (`instance/shim/cell.c`): namespaces with an init of their own; killing that init is one system call and kills all it started.
//! Of an Instance that has answered only its process is killed, and if then the init finds nobody and nothing left in the cell,
//! another Instance is forked into it, since making a cell takes as long as a fork. Where the host allows, each is in a control
//! group of its own (`instance/cgroup.rs`), which it enters itself before it does anything else.
//!
//! # The languages
//!
//! `instance::runtime` has a module for each: which program of the host a runtime name means, and what of ours is started with it.
//! In Python, Node.js and PHP that is a bootstrap in the language itself and the shim as something the language can load; the
//! zygote has the code loaded. A program of the user's own (Go, Custom Runtime) loads itself: its zygote is the starter
//! (`instance/shim/starter.c`), which has nothing loaded, and each Instance becomes the program and is spoken with in its own
//! words: `net/rpc` over gob, or HTTP.
//!
//! # Invariants
//!
//! What is absent matters more than what is there:
//!
//! 1. No module names a floor above its own.
//! 2. No `rusqlite` outside `store/`, no `unsafe` outside `base/sys.rs` and the C of `instance/shim`, no child process started
//!    outside `instance/`.
//! 3. No clock read outside `base/clock.rs`, no environment outside `config.rs`.
//! 4. No I/O and no JSON in `model/`. A door's wire format lives in that door; the child's in `instance/protocol.rs`.
//! 5. What a handler does wrong is never an [`Error`](error::Error): it is an outcome. An error means that we could not.
//! 6. No queue without a bound, no wait without a deadline, no thread without a name and an owner that joins it.
//! 7. No way to invoke but through `service/invoke.rs`.
//! 8. No caller holds an answer whose record is not in the database.
//! 9. No JSON of a user's is ever parsed and written again.

pub mod api;
pub mod appliance;
pub mod base;
pub mod cli;
pub mod config;
pub mod error;
pub mod http;
pub mod instance;
pub mod model;
pub mod pool;
pub mod search;
pub mod service;
pub mod store;
pub mod trigger;
