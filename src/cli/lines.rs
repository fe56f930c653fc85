//! Log lines as people read them: gathered by run, the time before each, graver ones in colour.
//!
//! Lines come one after another, all at once or as they are printed; a heading stands wherever another run begins, or
//! another attempt of it.

use std::collections::BTreeMap;

use crate::api::wire::Line;
use crate::base::text;
use crate::cli::output::{Out, Style};
use crate::cli::times::Times;
use crate::cli::{level, state};

/// Writes lines, and keeps in mind whose the last one was.
#[derive(Debug)]
pub(super) struct Printer {
    out: Out,
    times: Times,
    /// Function and request id.
    run: Option<(String, String)>,
    retry_num: u32,
}

impl Printer {
    pub(super) fn new(out: Out, times: Times) -> Printer {
        Printer { out, times, run: None, retry_num: 0 }
    }

    /// The line, below headings where they are due.
    pub(super) fn line(&mut self, line: &Line) -> String {
        self.written(line, level::style(line))
    }

    /// All of them. Those that were asked for with what is around them are shown among it, each once.
    pub(super) fn lines(&mut self, lines: &[Line]) -> String {
        let runs = lines.chunk_by(|one, other| one.request_id == other.request_id);
        runs.map(|run| if run.iter().any(has_context) { self.amid(run) } else { self.plain(run) }).collect()
    }

    fn plain(&mut self, lines: &[Line]) -> String {
        lines.iter().map(|line| self.line(line)).collect()
    }

    /// Lines of one run amid what is around them: that is dimmed, and a gap is marked.
    fn amid(&mut self, hits: &[Line]) -> String {
        let mut shown: BTreeMap<i64, (&Line, bool)> = BTreeMap::new();
        for hit in hits {
            let around = hit.before.iter().chain(&hit.after);
            around.for_each(|line| {
                shown.entry(line.id).or_insert((line, false));
            });
            shown.insert(hit.id, (hit, true));
        }
        // Lines of other runs may lie between two ids, so a gap is where a line's context does not reach the one before.
        let mut text = String::new();
        let mut reach = None;
        for (line, is_hit) in shown.values() {
            let begins = hits.iter().any(|hit| hit.before.first().unwrap_or(hit).id == line.id);
            if begins && reach.is_some_and(|reach| line.id > reach + 1) {
                text += &format!("  {}\n", self.out.paint(Style::Dim, "..."));
            }
            let ends = hits.iter().filter(|hit| hit.before.first().unwrap_or(hit).id <= line.id);
            reach = ends.map(|hit| hit.after.last().unwrap_or(hit).id).max();
            let style = if *is_hit {
                level::style(line).filter(|style| *style != Style::Dim)
            } else {
                Some(Style::Dim)
            };
            text += &self.written(line, style);
        }
        text
    }

    /// One line in that style.
    fn written(&mut self, line: &Line, style: Option<Style>) -> String {
        let mut text = String::new();
        let run = (line.function.clone(), line.request_id.clone());
        if self.run.as_ref() != Some(&run) {
            text += &heading(line, &self.out);
            (self.run, self.retry_num) = (Some(run), 0);
        }
        if self.retry_num != line.retry_num {
            self.retry_num = line.retry_num;
            let attempt = state::attempt(line.retry_num);
            text += &format!("  {}\n", self.out.paint(Style::Dim, &attempt));
        }
        text + &render_line(line, self.times, &self.out, style)
    }
}

fn has_context(line: &Line) -> bool {
    !line.before.is_empty() || !line.after.is_empty()
}

/// The lines of one run, whose name the reader has before him.
pub(super) fn render_lines(lines: &[Line], times: Times, out: &Out) -> String {
    let mut printer = Printer::new(*out, times);
    printer.run = lines.first().map(|line| (line.function.clone(), line.request_id.clone()));
    printer.lines(lines)
}

fn heading(first: &Line, out: &Out) -> String {
    let day = text::instant(first.ts_us);
    let day = day.split(' ').next().unwrap_or_default();
    let heading = format!("{}  {}  {day} UTC", first.function, first.request_id);
    format!("{}\n", out.paint(Style::Bold, &heading))
}

fn render_line(line: &Line, times: Times, out: &Out, style: Option<Style>) -> String {
    let time = times.clock(line.ts_us);
    let below = format!("\n{}", " ".repeat(time.len() + 5));
    let mut message = out.foreign(line.message.trim_end()).replace('\n', &below);
    if let Some(style) = style {
        message = out.paint(style, &message);
    }
    let mark = if line.stream == "stderr" { '!' } else { ' ' };
    format!("  {} {mark} {message}\n", out.paint(Style::Dim, &time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::Lines;

    fn check(are_utc: bool, expected: &str) {
        let lines: Lines = serde_json::from_str(
            r#"{"lines":[
                {"ts_us":1767323045678901,"request_id":"a1","function":"hello","stream":"platform","level":"INFO","message":"START RequestId: a1"},
                {"ts_us":1767323045679901,"request_id":"a1","function":"hello","stream":"stderr","level":"INFO","message":"one\ntwo\n"},
                {"ts_us":1767323045690000,"request_id":"b2","function":"hello","stream":"stdout","level":"INFO","message":"x"},
                {"ts_us":1767323045691000,"request_id":"b2","function":"hello","retry_num":1,"stream":"stdout","level":"INFO","message":"y"}
            ]}"#,
        )
        .unwrap();
        let times = Times { now_us: 0, are_utc };
        assert_eq!(Printer::new(Out::plain(), times).lines(&lines.lines), expected);
    }

    #[test]
    fn lines_are_gathered_by_run() {
        let expected = "\
hello  a1  2026-01-02 UTC
  03:04:05.678   START RequestId: a1
  03:04:05.679 ! one
                 two
hello  b2  2026-01-02 UTC
  03:04:05.690   x
  retry 1
  03:04:05.691   y
";
        check(false, expected);
    }

    #[test]
    fn each_line_has_its_day_where_that_is_asked_for() {
        let expected = "\
hello  a1  2026-01-02 UTC
  2026-01-02 03:04:05.678   START RequestId: a1
  2026-01-02 03:04:05.679 ! one
                            two
hello  b2  2026-01-02 UTC
  2026-01-02 03:04:05.690   x
  retry 1
  2026-01-02 03:04:05.691   y
";
        check(true, expected);
    }

    #[test]
    fn graver_lines_are_coloured() {
        let line = r#"{"ts_us":0,"stream":"stdout","level":"INFO","message":"[WARNING] x"}"#;
        let line: Line = serde_json::from_str(line).unwrap();
        let text = render_lines(&[line], Times { now_us: 0, are_utc: false }, &Out::coloured());
        assert_eq!(text, "  \x1b[2m00:00:00.000\x1b[0m   \x1b[33m[WARNING] x\x1b[0m\n");
    }

    #[test]
    fn what_is_around_a_line_is_shown_once() {
        let line = |id: i64, around: &str| {
            format!(
                r#"{{"id":{id},"ts_us":1767323045678901,"request_id":"a1","function":"hello","stream":"stdout","level":"INFO",
                "message":"line {id}"{around}}}"#
            )
        };
        let hit = |id: i64| {
            line(id, &format!(r#","before":[{}],"after":[{}]"#, line(id - 1, ""), line(id + 1, "")))
        };
        let lines: Lines =
            serde_json::from_str(&format!(r#"{{"lines":[{},{},{}]}}"#, hit(2), hit(4), hit(9))).unwrap();
        let times = Times { now_us: 0, are_utc: false };
        let text = Printer::new(Out::plain(), times).lines(&lines.lines);
        let said: Vec<&str> = text.lines().skip(1).map(|line| line.rsplit("  ").next().unwrap()).collect();
        assert_eq!(
            said,
            ["line 1", "line 2", "line 3", "line 4", "line 5", "...", "line 8", "line 9", "line 10"]
        );
    }
}
