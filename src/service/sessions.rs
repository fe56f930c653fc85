//! Who is signed in to the console.
//!
//! A session is in memory only: a server that starts again knows none, and everybody signs in again. It is worth what the key
//! is worth that it began with, at each request anew: revoking a key ends its sessions, those included that began with a link made by
//! it. A link that was made without a key, which only the administrator of this host can do, is worth an admin key.
//!
//! What must stay true: neither tokens nor tickets are kept, only their SHA-256, so that how long a look-up takes tells nothing
//! of them; a ticket is good once; and however many sign in, memory stays bounded.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::base::clock::Clock;
use crate::base::id::IdSource;
use crate::model::key::Scope;
use crate::service::keys::Keys;

/// How long a link is good.
pub const LINK_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long a session lasts that nobody uses: a working day.
pub const IDLE_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// Most sessions, and most links, at once; beyond, the one that was used longest ago goes.
const SESSIONS_MAX: usize = 1000;

/// Where whoever has that ticket brings it.
pub fn path_of(ticket: &str) -> String {
    format!("/console/enter?ticket={ticket}")
}

/// The same of one key.
const SESSIONS_OF_KEY_MAX: usize = 20;

type Hash = [u8; 32];

/// All sessions.
pub struct Sessions {
    keys: Arc<Keys>,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    links: HashMap<Hash, Link>,
    sessions: HashMap<Hash, Session>,
}

struct Session {
    right: Right,
    used: Instant,
}

/// A way to a session that nobody has gone yet.
struct Link {
    right: Right,
    made: Instant,
}

/// What a session is worth.
enum Right {
    /// What the key of that secret is worth.
    Key(String),
    /// What the administrator of this host may do.
    Host,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(keys: Arc<Keys>, ids: Arc<dyn IdSource>, clock: Arc<dyn Clock>) -> Sessions {
        Sessions { keys, ids, clock, state: Mutex::default() }
    }

    /// A ticket that is worth a session, once, within [`LINK_LIFE`]: for whoever has shown that secret of a key, or, without
    /// one, for the administrator of this host.
    pub fn ticket(&self, secret: Option<&str>) -> String {
        let (ticket, made) = (self.secret(), self.clock.now());
        let right = secret.map_or(Right::Host, |secret| Right::Key(secret.to_owned()));
        let mut state = self.state();
        state.links.retain(|_, link| made - link.made < LINK_LIFE);
        make_room(&mut state.links, |link| link.made);
        state.links.insert(hash(&ticket), Link { right, made });
        ticket
    }

    /// The token of a new session for whoever brings a ticket; none where it is not good, or not good any more.
    pub fn enter(&self, ticket: &str) -> Option<String> {
        let Link { right, made } = self.state().links.remove(&hash(ticket))?;
        (self.clock.now() - made < LINK_LIFE).then(|| self.begin(right))
    }

    /// The token of a new session for whoever brings the secret of a key; none where it is no key's.
    pub fn sign_in(&self, secret: &str) -> Option<String> {
        self.keys.scope_of(secret)?;
        Some(self.begin(Right::Key(secret.to_owned())))
    }

    /// What whoever has that token may do, if anything; the session counts as used.
    pub fn scope_of(&self, token: &str) -> Option<Scope> {
        let (now, id) = (self.clock.now(), hash(token));
        let mut state = self.state();
        let session = state.sessions.get_mut(&id)?;
        let scope = self.worth(session);
        match scope {
            Some(_) => session.used = now,
            None => drop(state.sessions.remove(&id)),
        }
        scope
    }

    /// The same of a session that is not used by that.
    pub fn peek(&self, token: &str) -> Option<Scope> {
        self.state().sessions.get(&hash(token)).and_then(|session| self.worth(session))
    }

    fn worth(&self, session: &Session) -> Option<Scope> {
        match &session.right {
            _ if self.clock.now() - session.used >= IDLE_LIFE => None,
            Right::Key(secret) => self.keys.scope_of(secret),
            Right::Host => Some(Scope::Admin),
        }
    }

    /// Ends a session.
    pub fn sign_out(&self, token: &str) {
        self.state().sessions.remove(&hash(token));
    }

    fn begin(&self, right: Right) -> String {
        let (token, used) = (self.secret(), self.clock.now());
        let mut state = self.state();
        // Whoever signs in again and again with one key pushes nobody out but himself.
        if let Right::Key(secret) = &right {
            let own = |session: &Session| matches!(&session.right, Right::Key(other) if other == secret);
            make_room_among(&mut state.sessions, SESSIONS_OF_KEY_MAX, own, |session| session.used);
        }
        make_room(&mut state.sessions, |session| session.used);
        state.sessions.insert(hash(&token), Session { right, used });
        token
    }

    fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.ids.secret())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock can panic")
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// Lets the oldest go where there are as many as there may be.
fn make_room<T>(all: &mut HashMap<Hash, T>, age: impl Fn(&T) -> Instant) {
    make_room_among(all, SESSIONS_MAX, |_| true, age);
}

/// The same for some of them.
fn make_room_among<T>(
    all: &mut HashMap<Hash, T>,
    most: usize,
    is_one: impl Fn(&T) -> bool,
    age: impl Fn(&T) -> Instant,
) {
    let those = || all.iter().filter(|(_, one)| is_one(one));
    if those().count() >= most {
        let oldest = those().min_by_key(|(_, one)| age(one)).map(|(id, _)| *id);
        oldest.and_then(|id| all.remove(&id));
    }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, SystemClock};
    use crate::base::id::SystemIds;
    use crate::store::{Options, Store};

    fn sessions(folder: &tempfile::TempDir) -> (Arc<Keys>, Arc<ManualClock>, Sessions) {
        let options =
            Options { path: folder.path().join("fnlite.db"), external_checkpointer: false, seal_key: None };
        let store = Store::open(&options, Arc::new(SystemClock)).unwrap();
        let keys = Arc::new(Keys::new(store, Arc::new(SystemIds)).unwrap());
        let clock = Arc::new(ManualClock::new(0));
        let sessions = Sessions::new(Arc::clone(&keys), Arc::new(SystemIds), Arc::clone(&clock) as _);
        (keys, clock, sessions)
    }

    #[test]
    fn a_session_is_worth_what_its_key_is_until_that_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, _, sessions) = sessions(&folder);
        let (key, secret) = keys.create("reader", Scope::Read).unwrap();
        let token = sessions.sign_in(&secret).unwrap();
        assert_eq!(sessions.scope_of(&token), Some(Scope::Read));
        assert_eq!(sessions.scope_of(&secret), None, "a key is no token");
        let linked = sessions.enter(&sessions.ticket(Some(&secret))).unwrap();
        assert_eq!(sessions.scope_of(&linked), Some(Scope::Read));
        let unused = sessions.ticket(Some(&secret));
        keys.revoke(key.id).unwrap();
        assert_eq!([&token, &linked].map(|token| sessions.scope_of(token)), [None, None]);
        assert_eq!(sessions.sign_in(&secret), None);
        assert_eq!(sessions.enter(&unused).and_then(|token| sessions.scope_of(&token)), None);
    }

    #[test]
    fn a_ticket_is_good_once_and_not_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let (_, clock, sessions) = sessions(&folder);
        let ticket = sessions.ticket(None);
        let token = sessions.enter(&ticket).unwrap();
        assert_eq!(sessions.scope_of(&token), Some(Scope::Admin));
        assert_eq!(sessions.enter(&ticket), None);
        let late = sessions.ticket(None);
        clock.advance(LINK_LIFE);
        assert_eq!(sessions.enter(&late), None);
    }

    #[test]
    fn a_session_ends_by_itself_and_by_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let (_, clock, sessions) = sessions(&folder);
        let [idle, used, left] = [(); 3].map(|()| sessions.enter(&sessions.ticket(None)).unwrap());
        sessions.sign_out(&left);
        assert_eq!(sessions.scope_of(&left), None);
        clock.advance(IDLE_LIFE / 2);
        assert_eq!(sessions.scope_of(&used), Some(Scope::Admin));
        assert_eq!(sessions.peek(&idle), Some(Scope::Admin));
        clock.advance(IDLE_LIFE / 2);
        assert_eq!(sessions.peek(&idle), None, "a look keeps nobody signed in");
        assert_eq!((sessions.scope_of(&used), sessions.scope_of(&idle)), (Some(Scope::Admin), None));
    }

    #[test]
    fn one_key_pushes_nobody_else_out() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, clock, sessions) = sessions(&folder);
        let (_, secret) = keys.create("reader", Scope::Read).unwrap();
        let admin = sessions.enter(&sessions.ticket(None)).unwrap();
        let first = sessions.sign_in(&secret).unwrap();
        for _ in 0..SESSIONS_MAX {
            clock.advance(Duration::from_millis(1));
            sessions.sign_in(&secret).unwrap();
        }
        assert_eq!((sessions.scope_of(&admin), sessions.scope_of(&first)), (Some(Scope::Admin), None));
    }

    #[test]
    fn however_many_sign_in_memory_stays_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let (_, clock, sessions) = sessions(&folder);
        let first = sessions.enter(&sessions.ticket(None)).unwrap();
        for _ in 0..SESSIONS_MAX {
            clock.advance(Duration::from_millis(1));
            sessions.enter(&sessions.ticket(None)).unwrap();
        }
        assert_eq!(sessions.state().sessions.len(), SESSIONS_MAX);
        assert_eq!(sessions.scope_of(&first), None);
    }
}
