//! How a function stands on its way from code that was sent to code that runs (contract 6.13).

use crate::error::{About, Error, Kind, Result};

/// How a function stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It runs.
    Active,
    /// It is new, and its code is being loaded for the first time.
    Creating,
    /// It is new, and its code could not be loaded.
    CreateFailed,
    /// New code or configuration is being loaded; the old one serves.
    Updating,
    /// What was sent last could not be loaded; what was there before serves.
    UpdateFailed,
}

impl Stand {
    /// Every stand.
    pub const ALL: [Stand; 5] =
        [Stand::Active, Stand::Creating, Stand::CreateFailed, Stand::Updating, Stand::UpdateFailed];

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Stand::Active => "Active",
            Stand::Creating => "Creating",
            Stand::CreateFailed => "CreateFailed",
            Stand::Updating => "Updating",
            Stand::UpdateFailed => "UpdateFailed",
        }
    }

    /// The stand of that word.
    pub fn parse(word: &str) -> Option<Stand> {
        Stand::ALL.into_iter().find(|stand| stand.as_str() == word)
    }

    /// Whether something is under way that a change would come in the way of.
    pub fn is_passing(self) -> bool {
        matches!(self, Stand::Creating | Stand::Updating)
    }
}

/// How a function stands, and why where that is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// How.
    pub stand: Stand,
    /// A word for the reason; empty where there is none.
    pub code: String,
    /// The reason in words.
    pub message: String,
}

impl Status {
    /// A status that needs no reason.
    pub fn of(stand: Stand) -> Status {
        Status { stand, code: String::new(), message: String::new() }
    }

    /// Fails with `Conflict` where the function must not be changed now.
    pub fn check_changeable(&self) -> Result<()> {
        if !self.stand.is_passing() {
            return Ok(());
        }
        let sentence = format!("the function is {}; try again once it is Active", self.word());
        Err(Error::new(Kind::Conflict, sentence).about(About::Status))
    }

    /// Fails with `Conflict` where there is nothing yet, or nothing at all, that could run.
    pub fn check_runnable(&self) -> Result<()> {
        match self.stand {
            Stand::Creating | Stand::CreateFailed => Err(Error::new(
                Kind::Conflict,
                format!("the function is {} and cannot run: {}", self.word(), self.reason()),
            )
            .about(About::Status)),
            _ => Ok(()),
        }
    }

    fn word(&self) -> &'static str {
        self.stand.as_str()
    }

    fn reason(&self) -> &str {
        if self.message.is_empty() { "its code is being loaded" } else { &self.message }
    }
}
