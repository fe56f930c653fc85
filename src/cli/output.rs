//! Where output goes: data to stdout, everything said about it to stderr; colour only where a person watches.

use std::io::{self, IsTerminal, Write};

use crate::cli::exit::Failure;
use crate::config;

/// How text is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
}

/// The two streams of one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Out {
    /// Whether stdout carries JSON for programs.
    pub(super) json: bool,
    /// Whether a person reads stdout.
    pub(super) is_watched: bool,
    colors: bool,
}

impl Out {
    pub(super) fn new(json: bool) -> Out {
        let is_watched = io::stdout().is_terminal();
        Out { json, is_watched, colors: is_watched && !json && !config::no_color() }
    }

    /// Output for tests and files: no colour.
    #[cfg(test)]
    pub(super) fn plain() -> Out {
        Out { json: false, is_watched: false, colors: false }
    }

    /// Output for tests of colours.
    #[cfg(test)]
    pub(super) fn coloured() -> Out {
        Out { json: false, is_watched: true, colors: true }
    }

    /// Writes data; a line end is added where it has none.
    pub(super) fn data(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        if !bytes.ends_with(b"\n") {
            stdout.write_all(b"\n")?;
        }
        Ok(stdout.flush()?)
    }

    /// Columns of the terminal that a person watches.
    pub(super) fn columns(&self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok().filter(|_| self.is_watched)?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    }

    /// Says something about it. What cannot be said (a closed stderr) is let go.
    pub(super) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// `text` in `style`, where colours are on.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            _ if !self.colors => return text.to_owned(),
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Warn => "33",
            Style::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// What a function printed, as it may be shown: a terminal must not obey it, a file gets it as it is.
    pub(super) fn foreign(&self, text: &str) -> String {
        if self.is_watched { harmless(text) } else { text.to_owned() }
    }
}

fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_commanded_by_functions() {
        let watched = Out { is_watched: true, ..Out::plain() };
        assert_eq!(watched.foreign("a\x1b[2J\tb\u{9b}c\r\n"), "a\u{fffd}[2J\tb\u{fffd}c\u{fffd}\n");
        assert_eq!(Out::plain().foreign("a\x1b[2J"), "a\x1b[2J");
    }
}
