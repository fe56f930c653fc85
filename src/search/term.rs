//! Terms without a key: words, phrases, regular expressions.

use regex::{Regex, RegexBuilder};

use crate::base::id::RequestId;
use crate::search::cursor::Literal;
use crate::search::expr::{Expr, Key, Test};
use crate::search::field::Field;
use crate::search::parser::Parser;
use crate::search::phrase::Phrase;
use crate::search::{Case, Mistake};

/// As how many words a regular expression counts, so that a query has five at most.
const REGEX_TERMS: usize = 40;

/// Bytes that a compiled expression takes, and as many again while it is sought. What a line costs grows with it: the worst
/// found was half a second for one of 8 KB.
const REGEX_BYTES_MAX: usize = 1 << 19;

impl Parser<'_> {
    /// A term that stands without a key, or the key with which it begins.
    pub(super) fn term(&mut self) -> Result<Expr, Mistake> {
        let start = self.cursor.at;
        self.check_foreign()?;
        if let Some(pattern) = self.cursor.regex() {
            return Ok(Expr::Test(Key::Message, self.regex(start, &pattern)?));
        }
        if self.cursor.rest().starts_with(['"', '\'']) {
            return self.quoted_term();
        }
        if let Some(name) = self.cursor.key() {
            return self.keyed(start, name);
        }
        if let Some(interval) = self.cursor.interval() {
            return self.between(start, &interval);
        }
        let literal = self.cursor.bare(&[])?;
        self.check_field_with_blank(&literal)?;
        self.text(&literal)
    }

    /// What means something else where people come from, and would quietly mean nothing here.
    fn check_foreign(&self) -> Result<(), Mistake> {
        let mut signs = self.cursor.rest().chars();
        match (signs.next(), signs.next()) {
            (Some('|'), _) => {
                self.fail("SQL behind a | is not for here, but for fnlite sql; in quotes it is text")
            }
            (Some('-'), Some(c)) if c.is_alphabetic() => {
                self.fail("write NOT to leave lines out; in quotes the - is text")
            }
            _ => Ok(()),
        }
    }

    fn check_field_with_blank(&self, literal: &Literal) -> Result<(), Mistake> {
        let name = literal.text.strip_suffix(':').unwrap_or_default();
        if Field::parse(name).is_none() {
            return Ok(());
        }
        Err(self.mistake(literal.at, format!("no blank may stand between {name}: and its value")))
    }

    fn quoted_term(&mut self) -> Result<Expr, Mistake> {
        let literal = self.cursor.quoted()?;
        if self.cursor.rest().starts_with([':', '=', '<', '>']) || self.cursor.rest().starts_with("!=") {
            return self.keyed(literal.at, &literal.text);
        }
        self.text(&literal)
    }

    /// What is sought in the line itself.
    fn text(&mut self, literal: &Literal) -> Result<Expr, Mistake> {
        if literal.text.is_empty() && literal.is_open {
            return self.count(literal.at, 1).map(|()| Expr::Every);
        }
        if literal.text.is_empty() {
            return Err(self.mistake(literal.at, "there is nothing in these quotes"));
        }
        let phrase = self.phrase(literal)?;
        let id = RequestId::parse(&literal.text).filter(|_| !literal.is_open);
        Ok(match id {
            Some(id) => Expr::Run(id, Some(phrase)),
            None => Expr::Test(Key::Message, Test::Contains(phrase, None)),
        })
    }

    pub(super) fn phrase(&mut self, literal: &Literal) -> Result<Phrase, Mistake> {
        let phrase = Phrase::new(&literal.text, literal.is_open, self.case);
        self.count(literal.at, phrase.words_count())?;
        Ok(phrase)
    }

    /// The expression of that pattern, which begins at `start`.
    pub(super) fn regex(&mut self, start: usize, pattern: &str) -> Result<Test, Mistake> {
        self.count(start, REGEX_TERMS)?;
        compile(pattern, self.case).map(Test::Regex).map_err(|message| self.mistake(start, message))
    }
}

fn compile(pattern: &str, case: Case) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder
        .case_insensitive(case == Case::Ignored)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "this regular expression is too large".to_owned(),
        error => format!("this is no regular expression: {}", reason(&error.to_string())),
    })
}

/// The last line of an error of `regex`, whose lines before it point into the pattern.
fn reason(error: &str) -> &str {
    error.lines().last().unwrap_or_default().trim_start_matches("error: ")
}
