//! `fnlite doctor --self-test`: hostile functions against a server of their own, in a folder of its own, at every isolation
//! level this host gives, and the matrix of what each could do.
//!
//! An attempt is Python (the folder `evil`) and a row of the table (`attempts.rs`). What it says of itself is believed only
//! where nothing else can be seen; after each attempt `outside.rs` looks whether the server answers, the next run is as if
//! nothing had been, no process is left and the files laid out as bait are as they were.
//!
//! What must stay true: an attempt does no lasting harm even where nothing holds it, since people run this on their hosts;
//! nothing here is known to the server that is tested, which is the real one.

mod attempts;
mod judge;
mod outside;
mod report;
mod stage;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Out;
use crate::cli::self_test::attempts::{ATTEMPTS, Attempt};
use crate::cli::self_test::report::{LevelReport, Report};
use crate::cli::self_test::stage::Stage;
use crate::config::ISOLATION_LEVEL_MAX;

/// Runs attempts at that level, or at all; `names` picks some of them, else `heavy` ones are left out unless asked for.
pub(super) fn run(level: Option<u8>, heavy: bool, names: &[String], out: &Out) -> Result<Exit, Failure> {
    let chosen = chosen(heavy, names)?;
    let levels = level.map_or((1..=ISOLATION_LEVEL_MAX).collect(), |level| vec![level]);
    let mut report = Report::default();
    for level in levels {
        out.note(&format!("level {level}: {} attempts", chosen.len()));
        match at_level(level, heavy, &chosen)? {
            Some(found) => report.levels.push(found),
            None => {
                out.note(&format!("level {level} is not to be had on this host; `fnlite doctor` says why"))
            }
        }
    }
    if report.levels.is_empty() {
        return Err(Failure::new(Exit::Error, "no such level on this host"));
    }
    out.data(&if out.json { report.json() } else { report.render(out).into_bytes() })?;
    Ok(if report.holds() { Exit::Done } else { Exit::Error })
}

fn chosen(heavy: bool, names: &[String]) -> Result<Vec<&'static Attempt>, Failure> {
    let is_named = |attempt: &Attempt| names.iter().any(|name| name == attempt.name);
    if let Some(unknown) = names.iter().find(|name| !ATTEMPTS.iter().any(|attempt| attempt.name == **name)) {
        return Err(Failure::usage(format!("there is no attempt {unknown}")));
    }
    let is_chosen = |attempt: &&Attempt| {
        if names.is_empty() { heavy || !attempt.heavy } else { is_named(attempt) }
    };
    Ok(ATTEMPTS.iter().filter(is_chosen).collect())
}

/// Makes the attempts at a level; nothing where the host does not give it.
fn at_level(level: u8, heavy: bool, chosen: &[&'static Attempt]) -> Result<Option<LevelReport>, Failure> {
    let Some(mut stage) = Stage::open(level, heavy)? else { return Ok(None) };
    let findings = chosen.iter().map(|attempt| stage.make(attempt)).collect::<Result<Vec<_>, _>>()?;
    stage.close()?;
    Ok(Some(LevelReport { level, findings }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own_and_code_behind_it() {
        let mut names = BTreeSet::new();
        for attempt in ATTEMPTS {
            assert!(names.insert(attempt.name), "{} stands twice", attempt.name);
            assert!((1..=5).contains(&attempt.from) && !attempt.ends.is_empty(), "{}", attempt.name);
            assert!(stage::has_code(attempt), "{} has no code", attempt.name);
        }
        assert!(names.len() >= 60, "{}", names.len());
    }

    #[test]
    fn every_piece_of_code_has_a_row() {
        for name in stage::code_names() {
            assert!(ATTEMPTS.iter().any(|attempt| attempt.name == name), "{name} is in no row");
        }
    }

    #[test]
    fn the_readmes_matrix_has_the_tables_rows() {
        let readme = include_str!("../../../README.md");
        let (_, rest) = readme.split_once(report::MATRIX_BEGINS).unwrap();
        let (matrix, _) = rest.split_once(report::MATRIX_ENDS).unwrap();
        let told: Vec<&str> = matrix.lines().filter(|line| line.starts_with("| it ")).collect();
        let rows: Vec<String> = ATTEMPTS.iter().map(report::matrix_head).collect();
        assert_eq!(told.len(), rows.len(), "scripts/matrix writes it anew");
        for (told, row) in told.iter().zip(&rows) {
            assert!(told.starts_with(row), "{told}\nis not\n{row}\nscripts/matrix writes it anew");
        }
        assert_promises_hold(matrix);
    }

    /// No cell says that hostile code was let through where its row promises that it is not.
    fn assert_promises_hold(matrix: &str) {
        for line in matrix.lines().filter(|line| line.starts_with("| it ")) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let from: usize = cells[1].parse().unwrap();
            let held = cells[2..].iter().enumerate().filter(|(index, _)| index + 1 >= from);
            assert!(held.clone().all(|(_, cell)| matches!(*cell, "denied" | "contained")), "{line}");
        }
    }

    #[test]
    fn attempts_are_picked_by_name() {
        let names = |heavy, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            chosen(heavy, &names).map(|chosen| chosen.len())
        };
        assert_eq!(names(true, &[]).unwrap(), ATTEMPTS.len());
        assert!(names(false, &[]).unwrap() < ATTEMPTS.len());
        assert_eq!(names(false, &["fill_tmp", "use_x32"]).unwrap(), 2);
        assert_eq!(names(false, &["none"]).unwrap_err().exit, Exit::Usage);
    }
}
