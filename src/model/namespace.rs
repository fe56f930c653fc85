//! A namespace: what groups functions, with names of their own in each.

use crate::error::{About, Error, Result};
use crate::model::function::Namespace;
use crate::model::limits;

/// A namespace as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Its name.
    pub name: Namespace,
    /// Free text.
    pub description: String,
    /// When it was made, microseconds since the epoch.
    pub created_us: i64,
    /// When it was last changed, microseconds since the epoch.
    pub modified_us: i64,
}

/// Checks free text about anything: at most [`limits::DESCRIPTION_CHARS_MAX`] characters without NUL.
pub fn check_description(text: &str) -> Result<()> {
    if text.chars().count() <= limits::DESCRIPTION_CHARS_MAX && !text.contains('\0') {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "description must be at most {} characters without NUL",
        limits::DESCRIPTION_CHARS_MAX
    ))
    .about(About::Description))
}
