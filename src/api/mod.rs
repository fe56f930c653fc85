//! The doors: each turns requests of its own wire format into calls of the services, and what comes back into answers.
//!
//! A door checks who asks and translates; what is valid is decided in `model`, what happens in `service`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::api::auth::Failures;
use crate::api::console::Console;
use crate::api::gateway::Gateway;
use crate::api::objects::Objects;
use crate::api::rest::Rest;
use crate::api::tencent::Tencent;
use crate::base::clock::Clock;
use crate::base::id::IdSource;
use crate::http::Handler;
use crate::http::head::Head;
use crate::http::request::{Peer, Request};
use crate::http::response::Response;
use crate::instance::host::Host;
use crate::model::schedule::Zone;
use crate::pool::Pool;
use crate::service;
use crate::service::concurrency::Concurrency;
use crate::service::dead_letters::DeadLetters;
use crate::service::doctor::Doctor;
use crate::service::events::Events;
use crate::service::functions::Functions;
use crate::service::invoke::Invoker;
use crate::service::keys::Keys;
use crate::service::layers::Layers;
use crate::service::loading::Bell;
use crate::service::logs::Logs;
use crate::service::namespaces::Namespaces;
use crate::service::objects::event::Owner;
use crate::service::sessions::Sessions;
use crate::service::triggers::changes::Changes;
use crate::service::triggers::{self, Triggers};
use crate::service::versions::Versions;
use crate::store::Store;
use crate::store::objects::files::ObjectFiles;

pub(crate) mod auth;
pub mod console;
pub mod gateway;
pub mod objects;
pub mod rest;
pub(crate) mod routing;
mod signing;
pub mod tencent;
pub(crate) mod wire;

/// All doors behind one address: each request goes to the one it is meant for.
#[derive(Debug)]
pub struct Doors {
    rest: Arc<Rest>,
    console: Console,
    tencent: Tencent,
    gateway: Gateway,
    objects: Objects,
}

impl Doors {
    /// The doors before `parts`; the console answers to `console_hosts` too.
    pub fn new(parts: Arc<Parts>, options: gateway::Options, console_hosts: Vec<String>) -> Doors {
        let rest = Arc::new(Rest::new(Arc::clone(&parts)));
        Doors {
            console: Console::new(Arc::clone(&parts), Arc::clone(&rest), console_hosts),
            rest,
            tencent: Tencent::new(Arc::clone(&parts)),
            objects: Objects::new(Arc::clone(&parts)),
            gateway: Gateway::new(parts, options),
        }
    }

    /// Waits until what was ordered here and goes on without its caller has ended.
    pub fn join(&self) {
        self.gateway.join();
    }

    /// Objects and the gateway come first: what their host names lead to has paths of its own. A bucket's host could be a service's
    /// but for its second label, so objects are before the gateway.
    fn of(&self, head: &Head) -> &dyn Handler {
        if Objects::is_meant(head) {
            &self.objects
        } else if self.gateway.is_meant(head) {
            &self.gateway
        } else if Tencent::is_meant(head) {
            &self.tencent
        } else if Console::is_meant(head) {
            &self.console
        } else {
            &*self.rest
        }
    }
}

impl Handler for Doors {
    fn before_body(&self, head: &Head, peer: Peer) -> Result<u64, Response> {
        self.of(head).before_body(head, peer)
    }

    fn is_patient(&self, head: &Head) -> bool {
        self.of(head).is_patient(head)
    }

    /// What the front refuses has no head that could be looked at.
    fn refusal(&self, status: u16, sentence: &'static str) -> Response {
        self.rest.refusal(status, sentence)
    }

    fn handle(&self, request: Request) -> Response {
        self.of(&request.head).handle(request)
    }
}

/// What the services are made of.
#[derive(Debug)]
pub struct Base {
    /// What is kept.
    pub store: Store,
    /// What runs functions.
    pub invoker: Arc<Invoker>,
    /// What runs them later.
    pub events: Arc<Events>,
    /// Many Instances.
    pub pool: Arc<Pool>,
    /// This host.
    pub host: Arc<Host>,
    /// Who may call.
    pub keys: Arc<Keys>,
    /// Calls those who load what is deployed.
    pub bell: Bell,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids of requests.
    pub ids: Arc<dyn IdSource>,
    /// Where the bytes of objects are.
    pub files: Arc<ObjectFiles>,
    /// Whose objects they are.
    pub owner: Owner,
    /// Set when the server begins to stop.
    pub stopping: Arc<AtomicBool>,
    /// What the server is made to run at once, MB.
    pub total_mb_max: u32,
    /// Whether requests over the socket file need a key too (D19).
    pub socket_needs_key: bool,
    /// The zone of timers that name none.
    pub timer_zone: Zone,
}

/// What the doors stand before, and how they behave.
#[derive(Debug)]
pub struct Parts {
    /// Deploys, finds, deletes.
    pub functions: Arc<Functions>,
    /// Runs.
    pub invoker: Arc<Invoker>,
    /// Runs later.
    pub events: Arc<Events>,
    /// What was given up.
    pub dead_letters: DeadLetters,
    /// Records and logs.
    pub logs: Logs,
    /// Published versions and aliases.
    pub versions: Versions,
    /// Groups of functions.
    pub namespaces: Namespaces,
    /// What functions share.
    pub layers: Layers,
    /// What makes them run by themselves.
    pub triggers: Arc<Triggers>,
    /// The object storage.
    pub objects: Arc<service::objects::Objects>,
    /// What they may use at once.
    pub concurrency: Arc<Concurrency>,
    /// Who may call.
    pub keys: Arc<Keys>,
    /// Who is signed in to the console.
    pub sessions: Sessions,
    /// Backups and sizes.
    pub store: Store,
    /// Numbers.
    pub pool: Arc<Pool>,
    /// The isolation level.
    pub host: Arc<Host>,
    /// What there is to say about this host, for people.
    pub doctor: Doctor,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// When the server started, microseconds since the epoch.
    pub started_us: i64,
    /// Ids of requests.
    pub ids: Arc<dyn IdSource>,
    /// Set when the server begins to stop; `/readyz` then says no.
    pub stopping: Arc<AtomicBool>,
    /// Whether requests over the socket file need a key too (D19).
    pub socket_needs_key: bool,
    /// Who has shown wrong keys lately, at either door.
    pub(crate) failures: Failures,
}

impl Parts {
    /// The services on that base.
    pub fn of(base: Base) -> Parts {
        let Base { store, invoker, events, pool, host, keys, bell, clock, ids, stopping, .. } = base;
        let changes = Arc::new(Changes::default());
        let functions = Arc::new(Functions::new(
            store.clone(),
            Arc::clone(&invoker),
            Arc::clone(&pool),
            Arc::clone(&host),
            Arc::clone(&events),
            bell,
            Arc::clone(&changes),
        ));
        let triggers = Arc::new(Triggers::new(triggers::Parts {
            store: store.clone(),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            changes,
            zone: base.timer_zone,
        }));
        let failures = Failures::new(Arc::clone(&clock));
        let objects = service::objects::Objects::new(service::objects::Parts {
            store: store.clone(),
            files: base.files,
            events: Arc::clone(&events),
            triggers: Arc::clone(&triggers),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            owner: base.owner,
        });
        let (all, total_mb_max) = (Arc::clone(&functions), base.total_mb_max);
        Parts {
            functions,
            versions: Versions::new(store.clone(), Arc::clone(&invoker), Arc::clone(&pool)),
            namespaces: Namespaces::new(store.clone()),
            layers: Layers::new(store.clone()),
            triggers,
            objects: Arc::new(objects),
            concurrency: Arc::new(Concurrency::new(store.clone(), Arc::clone(&pool), all, total_mb_max)),
            dead_letters: DeadLetters::new(store.clone(), Arc::clone(&events)),
            logs: Logs::new(store.clone(), Arc::clone(&invoker)),
            sessions: Sessions::new(Arc::clone(&keys), Arc::clone(&ids), Arc::clone(&clock)),
            doctor: Doctor::new(Arc::clone(&host), store.clone(), Arc::clone(&pool)),
            events,
            invoker,
            keys,
            store,
            pool,
            host,
            started_us: clock.wall_us(),
            clock,
            ids,
            stopping,
            socket_needs_key: base.socket_needs_key,
            failures,
        }
    }
}
