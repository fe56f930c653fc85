//! The matrix: attempts down, levels across.

use serde::Serialize;

use crate::cli::output::{Out, Style};
use crate::cli::self_test::attempts::Attempt;
use crate::cli::self_test::judge::{Finding, Verdict};
use crate::cli::table::Table;
#[cfg(test)]
pub(super) use markdown::{MATRIX_BEGINS, MATRIX_ENDS, matrix_head};

/// What came of all attempts at the levels that were to be had.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) levels: Vec<LevelReport>,
}

/// What came of them at one.
#[derive(Debug)]
pub(super) struct LevelReport {
    pub(super) level: u8,
    pub(super) findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Row<'a> {
    level: u8,
    attempt: &'a str,
    group: &'a str,
    tries: &'a str,
    /// The lowest level that promises to hold it.
    promised_from: u8,
    verdict: &'a str,
    /// Whether the level's promise held.
    holds: bool,
    detail: &'a str,
}

impl LevelReport {
    fn breaks(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| !holds(self.level, finding))
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.findings.iter().map(|finding| Row {
            level: self.level,
            attempt: finding.attempt.name,
            group: finding.attempt.group.title(),
            tries: finding.attempt.tries,
            promised_from: finding.attempt.from,
            verdict: finding.verdict.name(),
            holds: holds(self.level, finding),
            detail: &finding.detail,
        })
    }
}

/// Whether the level's promise, if it makes one, held.
fn holds(level: u8, finding: &Finding) -> bool {
    level < finding.attempt.from || finding.verdict != Verdict::Allowed
}

impl Report {
    /// Whether every level held what it promises.
    pub(super) fn holds(&self) -> bool {
        self.levels.iter().all(|level| level.breaks().next().is_none())
    }

    /// One object for each attempt at each level.
    pub(super) fn json(&self) -> Vec<u8> {
        let rows: Vec<Row<'_>> = self.levels.iter().flat_map(LevelReport::rows).collect();
        serde_json::to_vec(&rows).expect("texts and numbers are JSON")
    }

    /// For people: the matrix, and what did not hold.
    pub(super) fn render(&self, out: &Out) -> String {
        let names: Vec<String> = self.levels.iter().map(|level| format!("LEVEL {}", level.level)).collect();
        let mut head = vec!["ATTEMPT"];
        head.extend(names.iter().map(String::as_str));
        head.push("IT");
        let mut table = Table::new(&head);
        for (index, finding) in self.levels[0].findings.iter().enumerate() {
            let cells = self.levels.iter().map(|level| cell(level.level, &level.findings[index]));
            let ends = [finding.attempt.name.to_owned(), finding.attempt.tries.to_owned()];
            let [name, tries] = ends;
            table.row(std::iter::once(name).chain(cells).chain([tries]));
        }
        table.render(out) + &self.summary(out)
    }

    fn summary(&self, out: &Out) -> String {
        let told = |level: &LevelReport| {
            let broken: Vec<&Finding> = level.breaks().collect();
            if broken.is_empty() {
                return out.paint(Style::Good, &format!("level {} holds what it promises", level.level))
                    + "\n";
            }
            let lines = broken.iter().map(|finding| {
                let Finding { attempt: Attempt { name, .. }, detail, .. } = finding;
                out.paint(Style::Bad, &format!("level {} does not hold {name}: {detail}", level.level)) + "\n"
            });
            lines.collect()
        };
        self.levels.iter().map(told).collect()
    }
}

/// Small where no promise was made, loud where one was broken.
fn cell(level: u8, finding: &Finding) -> String {
    let name = finding.verdict.name();
    if holds(level, finding) { name.to_owned() } else { name.to_uppercase() }
}

/// What `scripts/matrix` writes into the README.
#[cfg(test)]
mod markdown {
    use crate::cli::self_test::attempts::Attempt;

    /// Where the README's matrix begins and ends.
    pub(in crate::cli::self_test) const MATRIX_BEGINS: &str = "<!-- matrix: written by scripts/matrix -->";
    pub(in crate::cli::self_test) const MATRIX_ENDS: &str = "<!-- matrix ends -->";

    /// How the row of an attempt begins.
    pub(in crate::cli::self_test) fn matrix_head(attempt: &Attempt) -> String {
        format!("| it {} | {} |", attempt.tries, attempt.from)
    }
}
