//! Waiting for the end of an invocation: long polls, one after another, until it is over or the time is up.
//!
//! One request waits no longer than the server allows, and a server that has no more room for those who wait is asked again
//! a moment later; so waiting ends early only where the invocation is over or the server cannot be reached.

use std::time::Duration;

use crate::api::wire::Run;
use crate::base::clock::{Clock, SystemClock};
use crate::base::length::Length;
use crate::cli::api::{Answer, Api, encoded};
use crate::cli::exit::{Exit, Failure};

/// Longest wait of one request; the server refuses longer ones.
const ASK_MAX: Duration = Duration::from_secs(300);
/// Between two requests, so that a server that answers at once, because it stops or is full, is not hammered.
const REST: Duration = Duration::from_millis(200);

/// The path of an invocation.
pub(super) fn path(request_id: &str) -> String {
    format!("/v1/invocations/{}", encoded(request_id))
}

/// The invocation once it is over, or as it is after `patience`; without one it is waited for however long it takes.
pub(super) fn until_over(
    api: &mut Api,
    request_id: &str,
    patience: Option<Duration>,
) -> Result<(Answer, Run), Failure> {
    let deadline = patience.map(|patience| SystemClock.now() + patience);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(SystemClock.now()));
        let found = ask(api, request_id, left.unwrap_or(ASK_MAX).min(ASK_MAX))?;
        let is_last = left.is_some_and(|left| left.as_millis() == 0);
        match found {
            Some((answer, run)) if is_last || run.is_over() => return Ok((answer, run)),
            None if is_last => {
                return Err(Failure::new(Exit::Error, "too many wait for runs; ask again later"));
            }
            _ => std::thread::sleep(left.unwrap_or(REST).min(REST)),
        }
    }
}

/// The invocation, after `wait` or once it is over; none where the server has no room for those who wait.
fn ask(api: &mut Api, request_id: &str, wait: Duration) -> Result<Option<(Answer, Run)>, Failure> {
    let query = vec![("wait", Some(Length(wait).to_string()))];
    let answer = api.send("GET", &path(request_id), query, b"")?;
    let status = answer.status();
    match answer.accepted() {
        Ok(answer) => {
            let run = answer.json()?;
            Ok(Some((answer, run)))
        }
        Err(failure) if status == 429 && failure.exit == Exit::Error => Ok(None),
        Err(failure) => Err(failure),
    }
}
