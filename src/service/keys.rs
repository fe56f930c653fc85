//! Who may call: keys, their scopes, and whether a secret is one of them.
//!
//! A secret is shown once and kept as its SHA-256 only; 256 random bits need no slow hash. Every key is compared, each
//! in constant time, so that how long a refusal takes says nothing. The keys live in memory; a change goes to the store
//! first, then here, and counts from the moment its answer leaves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::base::id::IdSource;
use crate::error::Result;
use crate::model::key::{Key, Scope, SigningKey, check_key_name};
use crate::store::Store;

/// What every secret begins with, so that people and scanners know it when they see one.
const PREFIX: &str = "fnl_";

/// Characters of every secret: the prefix and 32 bytes in base64. Everybody knows this, so telling it by time is no harm.
const SECRET_CHARS: usize = PREFIX.len() + 43;

/// What every public half begins with, as in the cloud.
const SECRET_ID_PREFIX: &str = "AKID";

/// The name of the key made at the first start.
const FIRST: &str = "first";

/// All keys.
#[derive(Debug)]
pub struct Keys {
    store: Store,
    ids: Arc<dyn IdSource>,
    known: RwLock<Vec<Key>>,
    /// What opens the door to whoever can read a file of this server's user, while it runs; none where nobody needs it.
    local: RwLock<Option<[u8; 32]>>,
    /// Where the server listens, once it does.
    listens_at: OnceLock<SocketAddr>,
    /// Held over a change of both, so that the list in memory is the newest one.
    changing: Mutex<()>,
}

impl Keys {
    /// The keys in `store`.
    pub fn new(store: Store, ids: Arc<dyn IdSource>) -> Result<Keys> {
        let known = RwLock::new(store.keys()?);
        let (local, listens_at, changing) = (RwLock::default(), OnceLock::new(), Mutex::new(()));
        Ok(Keys { store, ids, known, local, listens_at, changing })
    }

    /// Said once it is known: where the server listens.
    pub fn listens_at(&self, address: SocketAddr) {
        // Only the first one to say it is right, and there is only one.
        let _ = self.listens_at.set(address);
    }

    /// Where programs of this host send what a pair signs; none before the server listens.
    pub fn endpoint(&self) -> Option<SocketAddr> {
        let address = *self.listens_at.get()?;
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Some(SocketAddr::new(ip, address.port()))
    }

    /// Makes an admin key if this database never had one; the secret is shown to whoever started the server.
    pub fn ensure_first(&self) -> Result<Option<String>> {
        if self.store.had_keys()? {
            return Ok(None);
        }
        self.create(FIRST, Scope::Admin).map(|(_, secret)| Some(secret))
    }

    /// A secret that is worth an admin key until this server ends, and is kept nowhere but here: for the file beside the
    /// socket (D19).
    pub fn local_secret(&self) -> String {
        let secret = self.new_secret();
        *self.local.write().expect("no holder of this lock can panic") = Some(hash(&secret));
        secret
    }

    /// A new key and its secret. Fails with `Invalid` or, where the name is taken, `Conflict`.
    pub fn create(&self, name: &str, scope: Scope) -> Result<(Key, String)> {
        check_key_name(name)?;
        let secret = self.new_secret();
        let key = self.change(|store| store.create_key(name, scope, hash(&secret), None))?;
        Ok((key, secret))
    }

    /// A new pair that signs requests of the TencentCloud API. Fails as [`create`](Keys::create).
    pub fn create_signing(&self, name: &str, scope: Scope) -> Result<(Key, SigningKey)> {
        check_key_name(name)?;
        let pair = SigningKey {
            secret_id: format!("{SECRET_ID_PREFIX}{}", self.letters(32)),
            secret_key: self.letters(32),
        };
        let kept = pair.clone();
        let secret_sha256 = hash(&pair.secret_key);
        let key = self.change(|store| store.create_key(name, scope, secret_sha256, Some(kept)))?;
        Ok((key, pair))
    }

    /// The secret half of that public one, and what its holder may do.
    pub fn signing(&self, secret_id: &str) -> Option<(String, Scope)> {
        let known = self.known.read().expect("no holder of this lock can panic");
        known.iter().find_map(|key| {
            let pair = key.signs.as_ref().filter(|pair| pair.secret_id == secret_id)?;
            Some((pair.secret_key.clone(), key.scope))
        })
    }

    /// So many letters and digits, at most 32, each of which nobody can guess.
    fn letters(&self, count: usize) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        // The first few letters of 62 come up a little more often, which costs less than a bit of 190.
        let letter = |byte: u8| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]);
        self.ids.secret().into_iter().take(count).map(letter).collect()
    }

    /// Every key, oldest first.
    pub fn list(&self) -> Vec<Key> {
        self.known.read().expect("no holder of this lock can panic").clone()
    }

    /// Revokes a key: from the answer on its secret is worth nothing. Fails with `NotFound`.
    pub fn revoke(&self, id: i64) -> Result<()> {
        self.change(|store| store.revoke_key(id))
    }

    /// What the holder of `secret` may do; nothing if it is no key's.
    pub fn scope_of(&self, secret: &str) -> Option<Scope> {
        // A header of 64 KiB is not worth hashing.
        if secret.len() != SECRET_CHARS {
            return None;
        }
        let hash = hash(secret);
        let known = self.known.read().expect("no holder of this lock can panic");
        let (mut found, mut rank) = (Choice::from(0), 0);
        for key in known.iter() {
            let same = key.secret_sha256.ct_eq(&hash);
            found |= same;
            rank.conditional_assign(&rank_of(key.scope), same);
        }
        drop(known);
        if let Some(local) = *self.local.read().expect("no holder of this lock can panic") {
            let same = local.ct_eq(&hash);
            found |= same;
            rank.conditional_assign(&rank_of(Scope::Admin), same);
        }
        bool::from(found).then(|| SCOPES[usize::from(rank)])
    }

    fn new_secret(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.ids.secret()))
    }

    fn change<T>(&self, body: impl FnOnce(&Store) -> Result<T>) -> Result<T> {
        let _one_at_a_time = self.changing.lock().expect("no holder of this lock can panic");
        let changed = body(&self.store)?;
        let known = self.store.keys()?;
        *self.known.write().expect("no holder of this lock can panic") = known;
        Ok(changed)
    }
}

const SCOPES: [Scope; 3] = [Scope::Read, Scope::Invoke, Scope::Admin];

fn rank_of(scope: Scope) -> u8 {
    match scope {
        Scope::Read => 0,
        Scope::Invoke => 1,
        Scope::Admin => 2,
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::SystemClock;
    use crate::base::id::SystemIds;
    use crate::error::Kind;
    use crate::store::Options;

    fn keys(folder: &tempfile::TempDir) -> Keys {
        let options =
            Options { path: folder.path().join("fnlite.db"), external_checkpointer: false, seal_key: None };
        Keys::new(Store::open(&options, Arc::new(SystemClock)).unwrap(), Arc::new(SystemIds)).unwrap()
    }

    #[test]
    fn the_first_key_is_made_once_and_not_again_after_it_was_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let first = keys(&folder);
        let secret = first.ensure_first().unwrap().unwrap();
        assert_eq!(first.scope_of(&secret), Some(Scope::Admin));
        assert_eq!(first.ensure_first().unwrap(), None);
        first.revoke(first.list()[0].id).unwrap();
        drop(first);
        let again = keys(&folder);
        assert_eq!(again.ensure_first().unwrap(), None);
        assert_eq!(again.scope_of(&secret), None);
    }

    #[test]
    fn an_endpoint_is_an_address_that_can_be_connected_to() {
        for (listens_at, expected) in
            [("10.0.0.5:9980", "10.0.0.5:9980"), ("0.0.0.0:81", "127.0.0.1:81"), ("[::]:9980", "[::1]:9980")]
        {
            let folder = tempfile::tempdir().unwrap();
            let keys = keys(&folder);
            assert_eq!(keys.endpoint(), None);
            keys.listens_at(listens_at.parse().unwrap());
            assert_eq!(keys.endpoint(), Some(expected.parse().unwrap()));
        }
    }

    #[test]
    fn a_secret_is_worth_its_own_scope_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(&folder);
        let made: Vec<(Key, String)> =
            SCOPES.iter().map(|scope| keys.create(scope.as_str(), *scope).unwrap()).collect();
        for (key, secret) in &made {
            assert!(secret.starts_with("fnl_") && secret.len() == 47, "{secret}");
            assert_eq!(keys.scope_of(secret), Some(key.scope));
        }
        for wrong in
            ["", "fnl_", &made[0].1[..46], &format!("{}x", made[0].1), &format!("{}x", &made[0].1[..46])]
        {
            assert_eq!(keys.scope_of(wrong), None, "{wrong}");
        }
        keys.revoke(made[1].0.id).unwrap();
        assert_eq!(keys.scope_of(&made[1].1), None);
        assert_eq!(keys.revoke(made[1].0.id).unwrap_err().kind, Kind::NotFound);
    }

    #[test]
    fn names_are_checked_and_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(&folder);
        keys.create("ci", Scope::Read).unwrap();
        assert_eq!(keys.create("ci", Scope::Read).unwrap_err().kind, Kind::Conflict);
        for wrong in ["", "a\nb", &"x".repeat(61)] {
            assert_eq!(keys.create(wrong, Scope::Read).unwrap_err().kind, Kind::Invalid, "{wrong:?}");
        }
    }
}
