//! How a run stands, in words and colours, the same in every command.
//!
//! A state's word is the server's own, so that what is shown can be typed after `--status`; one that a newer server knows is
//! shown as it comes. Attempts are told by their number of the API: the first has none, "retry 1" is the one after it.

use crate::api::wire::Run;
use crate::cli::output::Style;
use crate::cli::times::Times;

/// The colour of a state.
pub(super) fn style(run: &Run) -> Style {
    match run.state.as_str() {
        "succeeded" => Style::Good,
        "failed" | "expired" | "dead" => Style::Bad,
        "retrying" => Style::Warn,
        _ => Style::Dim,
    }
}

/// The state for a table: `succeeded (200)`, `retrying (430)`, `running`.
pub(super) fn brief(run: &Run) -> String {
    match run.is_over() || run.state == "retrying" {
        true => format!("{} ({})", run.state, run.status),
        false => run.state.clone(),
    }
}

/// The state with what comes next: `queued, due in 42 s`, `running, retry 1`, `retrying (430), retry 2 in 42 s`,
/// `dead (430), retry 2`.
pub(super) fn whole(run: &Run, times: Times) -> String {
    let mut words = brief(run);
    match (run.state.as_str(), run.retry_num) {
        ("retrying", number) => words += &format!(", retry {} {}", number + 1, times.future(run.due_us)),
        ("queued", _) if run.due_us > times.now_us => words += &format!(", due {}", times.future(run.due_us)),
        (_, 0) => {}
        (_, number) => words += &format!(", {}", attempt(number)),
    }
    words
}

/// What an attempt is called.
pub(super) fn attempt(retry_num: u32) -> String {
    if retry_num == 0 { "first".to_owned() } else { format!("retry {retry_num}") }
}

/// The attempt's number for a table.
pub(super) fn retry_cell(run: &Run) -> String {
    if run.retry_num == 0 { "-".to_owned() } else { run.retry_num.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rest: &str, in_table: &str, alone: &str, style_of_it: Style) {
        let text = format!(
            r#"{{"request_id":"r","namespace":"default","function":"hello","qualifier":"$LATEST","source":"rest",
            "created_us":1000000,"memory_mb":128,{rest}}}"#
        );
        let run: Run = serde_json::from_str(&text).unwrap();
        let seen = (brief(&run), whole(&run, Times { now_us: 2_000_000, are_utc: false }), style(&run));
        assert_eq!(seen, (in_table.to_owned(), alone.to_owned(), style_of_it), "{rest}");
    }

    #[test]
    fn every_state_has_its_words() {
        check(r#""state":"queued","status":202,"due_us":1000000"#, "queued", "queued", Style::Dim);
        check(
            r#""state":"queued","status":202,"due_us":44000000"#,
            "queued",
            "queued, due in 42 s",
            Style::Dim,
        );
        check(r#""state":"running","status":202"#, "running", "running", Style::Dim);
        check(r#""state":"running","status":202,"retry_num":1"#, "running", "running, retry 1", Style::Dim);
        check(
            r#""state":"retrying","status":430,"retry_num":1,"due_us":44000000,"ended_us":5"#,
            "retrying (430)",
            "retrying (430), retry 2 in 42 s",
            Style::Warn,
        );
        check(r#""state":"succeeded","status":200"#, "succeeded (200)", "succeeded (200)", Style::Good);
        check(r#""state":"failed","status":433"#, "failed (433)", "failed (433)", Style::Bad);
        check(r#""state":"expired","status":500"#, "expired (500)", "expired (500)", Style::Bad);
        check(
            r#""state":"dead","status":430,"retry_num":2"#,
            "dead (430)",
            "dead (430), retry 2",
            Style::Bad,
        );
        check(r#""state":"paused","status":202"#, "paused", "paused", Style::Dim);
    }
}
