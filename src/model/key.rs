//! Keys of API callers and what each may do.

use std::fmt;

use crate::error::{Error, Result};
use crate::model::limits;

/// Checks the name of a key: 1 to [`limits::KEY_NAME_CHARS_MAX`] characters, none a control character.
pub fn check_key_name(name: &str) -> Result<()> {
    if (1..=limits::KEY_NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "name must be 1 to {} characters without control characters",
        limits::KEY_NAME_CHARS_MAX
    )))
}

/// What a key may do; each scope includes the ones after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look at functions, records and logs.
    Read,
    /// Also run functions.
    Invoke,
    /// Everything.
    Admin,
}

impl Scope {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Invoke => "invoke",
            Scope::Admin => "admin",
        }
    }

    /// The scope of that word.
    pub fn parse(word: &str) -> Option<Scope> {
        [Scope::Read, Scope::Invoke, Scope::Admin].into_iter().find(|scope| scope.as_str() == word)
    }
}

/// A pair with which requests of the TencentCloud API are signed (contract 7). The secret must be known to check a signature,
/// so it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The public half.
    pub secret_id: String,
    /// The secret half.
    pub secret_key: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

/// A key as it is listed; its secret is shown once, at creation, and never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Row id.
    pub id: i64,
    /// The name its creator gave it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// SHA-256 of the secret.
    pub secret_sha256: [u8; 32],
    /// What it signs with, where it is one that signs.
    pub signs: Option<SigningKey>,
    /// When it was made, microseconds since the epoch.
    pub created_us: i64,
}
