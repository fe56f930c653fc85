//! Keys of API callers and what each may do.

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
    /// When it was made, microseconds since the epoch.
    pub created_us: i64,
}
