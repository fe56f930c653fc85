//! What an attempt came to, from what it said, how its run ended, and what is wrong outside. Pure.

use serde::Deserialize;

use crate::cli::self_test::attempts::{Attempt, Form, Proof};

/// Longest detail that is shown, characters.
const DETAIL_CHARS_MAX: usize = 120;

/// What hostile code could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was refused, or found nothing.
    Denied,
    /// It succeeded within its own run, and nobody else noticed.
    Contained,
    /// It succeeded.
    Allowed,
}

impl Verdict {
    /// For people and programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Verdict::Denied => "denied",
            Verdict::Contained => "contained",
            Verdict::Allowed => "allowed",
        }
    }
}

/// What came of one attempt at one level.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) attempt: &'static Attempt,
    pub(super) verdict: Verdict,
    /// Why, for people.
    pub(super) detail: String,
}

/// What an attempt says of itself.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Told {
    /// What it got.
    #[serde(default)]
    pub(super) got: Option<String>,
    /// How it was refused.
    #[serde(default)]
    pub(super) refused: Option<String>,
}

/// Everything there is to judge by.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The status the run ended with.
    pub(super) status: u16,
    /// What it said, where it returned.
    pub(super) told: Told,
    /// What the second run said, where there is one.
    pub(super) second: Option<Told>,
    /// What is wrong outside.
    pub(super) amiss: Option<String>,
}

/// What it came to; `secret` is somebody else's.
pub(super) fn judge(attempt: &'static Attempt, seen: Seen, secret: &str) -> Finding {
    let (verdict, detail) = weigh(attempt, seen, secret);
    let detail = detail.chars().take(DETAIL_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c });
    Finding { attempt, verdict, detail: detail.collect() }
}

fn weigh(attempt: &Attempt, seen: Seen, secret: &str) -> (Verdict, String) {
    if let Some(amiss) = seen.amiss {
        return (Verdict::Allowed, amiss);
    }
    let ended = format!("its run ended with status {}", seen.status);
    if !attempt.ends.contains(&seen.status) {
        let verdict = if is_refusal(seen.status, attempt) { Verdict::Denied } else { Verdict::Allowed };
        return (verdict, ended);
    }
    if let Some(refused) = seen.told.refused {
        return (Verdict::Denied, refused);
    }
    if let Some(left) = seen.second.and_then(|second| second.got).filter(|left| !left.is_empty()) {
        return (Verdict::Allowed, format!("the next run found: {left}"));
    }
    match (attempt.proof, seen.told.got.filter(|got| !got.is_empty())) {
        (_, None) if seen.status == 200 => (Verdict::Denied, "it got nothing".to_owned()),
        (_, None) => (Verdict::Contained, ended),
        (Proof::Word, Some(got)) => (Verdict::Allowed, got),
        (Proof::Secret, Some(got)) if got.contains(secret) => {
            (Verdict::Allowed, "it read a secret".to_owned())
        }
        (Proof::Secret, Some(_)) => (Verdict::Contained, "it read only what is its own".to_owned()),
        (Proof::Outside | Proof::NextRun, Some(got)) => (Verdict::Contained, got),
    }
}

/// A run that the kernel killed for a forbidden call has got nothing, nor has code that could not even load.
fn is_refusal(status: u16, attempt: &Attempt) -> bool {
    match attempt.form {
        Form::Loading => attempt.proof == Proof::NextRun && status == 430,
        _ => attempt.proof == Proof::Word && status == 439,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::self_test::attempts::ATTEMPTS;

    fn verdict(name: &str, status: u16, told: &str, second: &str, amiss: Option<&str>) -> Verdict {
        let attempt = ATTEMPTS.iter().find(|attempt| attempt.name == name).unwrap();
        let parsed = |text| serde_json::from_str(text).ok();
        let seen = Seen {
            status,
            told: parsed(told).unwrap_or_default(),
            second: parsed(second),
            amiss: amiss.map(str::to_owned),
        };
        judge(attempt, seen, "s3cret").verdict
    }

    #[test]
    fn its_word_counts_where_it_is_against_itself() {
        assert_eq!(verdict("load_bpf", 200, r#"{"got":"bpf gave 3"}"#, "", None), Verdict::Allowed);
        assert_eq!(verdict("load_bpf", 200, r#"{"refused":"EPERM"}"#, "", None), Verdict::Denied);
        assert_eq!(verdict("load_bpf", 200, r#"{"got":null}"#, "", None), Verdict::Denied);
        assert_eq!(verdict("load_bpf", 439, "", "", None), Verdict::Denied);
        assert_eq!(verdict("load_bpf", 430, "", "", None), Verdict::Allowed, "the attempt itself is broken");
    }

    #[test]
    fn what_it_read_is_harm_only_if_it_is_somebody_elses() {
        let read = |text| verdict("read_other_environment", 200, text, "", None);
        assert_eq!(read(r#"{"got":"A=s3cret"}"#), Verdict::Allowed);
        assert_eq!(read(r#"{"got":"A=own"}"#), Verdict::Contained);
    }

    #[test]
    fn harm_outside_is_harm_whatever_it_says() {
        let denied = r#"{"refused":"EPERM"}"#;
        assert_eq!(verdict("load_bpf", 200, denied, "", Some("a process is left")), Verdict::Allowed);
        assert_eq!(verdict("stay_after_crash", 439, "", "", None), Verdict::Contained);
        assert_eq!(verdict("memory_bomb_of_files", 434, "", "", None), Verdict::Contained);
        assert_eq!(verdict("stay_after_crash", 200, r#"{"got":"x"}"#, "", None), Verdict::Allowed);
    }

    #[test]
    fn a_second_run_that_finds_something_is_harm() {
        let left = r#"{"got":"left it"}"#;
        assert_eq!(verdict("leave_in_tmp", 200, left, r#"{"got":"there"}"#, None), Verdict::Allowed);
        assert_eq!(verdict("leave_in_tmp", 200, left, r#"{"refused":"ENOENT"}"#, None), Verdict::Contained);
        assert_eq!(verdict("leave_in_tmp", 200, left, r#"{"got":null}"#, None), Verdict::Contained);
        assert_eq!(verdict("leave_in_shm", 200, r#"{"refused":"EACCES"}"#, "", None), Verdict::Denied);
    }
}
