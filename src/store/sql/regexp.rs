//! `X REGEXP 'pattern'`, which SQLite turns into `regexp(pattern, X)`.
//!
//! A search takes time in proportion to the text, and at worst to the size of the compiled pattern as well; nothing can stop
//! it meanwhile. So their product is bounded: a pattern as large as may be searches the longest line, a smaller one longer
//! texts, and what is longer still is refused with the way out.

use regex::{Regex, RegexBuilder};
use rusqlite::functions::Context;

use crate::model::limits;
use crate::store::sql::text;

/// Most bytes of a pattern once it is compiled.
const COMPILED_BYTES_MAX: usize = 256 * 1024;
/// Compiled sizes that are told apart: this one, and each double.
const COMPILED_BYTES_MIN: usize = 4 * 1024;
/// The product of both sizes. Measured: 0.13 ns for each byte times byte at worst, so a call takes a quarter of a second.
const WORK_MAX: usize = COMPILED_BYTES_MAX * limits::LOG_LINE_BYTES_MAX;
/// Most bytes for the states of its automaton that are met; without them it is slower.
const STATES_BYTES_MAX: usize = 1024 * 1024;

/// A pattern that is compiled.
struct Pattern {
    regex: Regex,
    text_bytes_max: usize,
}

/// The call; a pattern is compiled once for a statement in which it does not change.
pub(super) fn call(context: &mut Context<'_>) -> rusqlite::Result<Option<bool>> {
    let Some((pattern, text)) = text::of(context, 0).zip(text::of(context, 1)) else { return Ok(None) };
    let pattern = context.get_or_create_aux(0, |_| Pattern::new(&pattern))?;
    pattern.is_in(&text).map(Some).map_err(|why| rusqlite::Error::UserFunctionError(why.into()))
}

impl Pattern {
    fn new(pattern: &str) -> Result<Pattern, String> {
        let mut compiled_bytes = COMPILED_BYTES_MIN;
        loop {
            match compile(pattern, compiled_bytes) {
                Ok(regex) => return Ok(Pattern { regex, text_bytes_max: WORK_MAX / compiled_bytes }),
                Err(regex::Error::CompiledTooBig(_)) if compiled_bytes < COMPILED_BYTES_MAX => {
                    compiled_bytes *= 2
                }
                Err(error) => return Err(sentence(&error)),
            }
        }
    }

    fn is_in(&self, text: &str) -> Result<bool, String> {
        let (bytes, bytes_max) = (text.len(), self.text_bytes_max);
        if bytes > bytes_max {
            return Err(format!(
                "REGEXP: the text has {bytes} bytes, and this pattern takes {bytes_max}; give it substr(X, 1, {bytes_max})"
            ));
        }
        Ok(self.regex.is_match(text))
    }
}

fn compile(pattern: &str, compiled_bytes: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .size_limit(compiled_bytes)
        .dfa_size_limit(STATES_BYTES_MAX)
        .nest_limit(50)
        .build()
}

fn sentence(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            "REGEXP: the pattern is too large; [0-9] and [a-z] are smaller than \\d and \\w".to_owned()
        }
        // The last of several lines; those before show where.
        error => {
            let said = error.to_string();
            let last = said.lines().next_back().unwrap_or_default();
            format!("REGEXP: {}", last.trim_start_matches("error: "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_patterns_take_lines_and_small_ones_take_everything() {
        for (pattern, bytes_at_least) in [
            ("timeout", limits::SQL_VALUE_BYTES_MAX / 2),
            ("^(GET|POST) /[a-z/]* 5[0-9]{2}", 100_000),
            (r"(?i)error|exception|panic", 50_000),
            (r"\b\w+@\w+\.(com|org)\b", limits::LOG_LINE_BYTES_MAX),
            (r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", limits::LOG_LINE_BYTES_MAX),
            (r"order \d+ .* failed after \d+(\.\d+)? (ms|s)", limits::LOG_LINE_BYTES_MAX),
        ] {
            let bytes_max = Pattern::new(pattern).map(|pattern| pattern.text_bytes_max).unwrap();
            assert!(bytes_max >= bytes_at_least, "{pattern}: {bytes_max}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_told_with_the_way_out() {
        let pattern = Pattern::new(r"\w+x").unwrap();
        let text = "a".repeat(pattern.text_bytes_max + 1);
        let said = pattern.is_in(&text).unwrap_err();
        assert!(said.ends_with(&format!("substr(X, 1, {})", pattern.text_bytes_max)), "{said}");
        assert_eq!(pattern.is_in(&text[1..]), Ok(false));
    }
}
