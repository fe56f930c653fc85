//! The characters of a query, read from left to right: words, quotes, operators. What they mean is decided in `parser`.
//!
//! What must stay true: reading always goes forward, so the time is bounded by the length of the text; and whoever looks
//! ahead does it on a copy.

use crate::search::Mistake;
use crate::search::number::Number;
use crate::search::words::{self, Class};

/// Where in the text the reader is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    /// Bytes read.
    pub(super) at: usize,
}

/// A word or a phrase as it was written, without quotes and escapes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Literal {
    pub(super) text: String,
    /// Whether a wildcard stood behind it.
    pub(super) is_open: bool,
    /// Where it begins, in bytes.
    pub(super) at: usize,
}

/// `key in (1 5]`, as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval<'a> {
    pub(super) name: &'a str,
    pub(super) ends: [&'a str; 2],
    pub(super) takes_low: bool,
    pub(super) takes_high: bool,
}

/// What stands between a key and a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    Contains,
    Is,
    IsNot,
    Less,
    LessOrIs,
    Greater,
    GreaterOrIs,
}

/// A longer one before those with which it begins.
const OPERATORS: &[(&str, Operator)] = &[
    (":>=", Operator::GreaterOrIs),
    (":<=", Operator::LessOrIs),
    (":>", Operator::Greater),
    (":<", Operator::Less),
    (":=", Operator::Is),
    (":", Operator::Contains),
    (">=", Operator::GreaterOrIs),
    ("<=", Operator::LessOrIs),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("!=", Operator::IsNot),
    ("=", Operator::Is),
];

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// What is left to read.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Reads that, if it comes next.
    pub(super) fn take(&mut self, wanted: &str) -> bool {
        let comes = self.rest().starts_with(wanted);
        self.at += if comes { wanted.len() } else { 0 };
        comes
    }

    /// Reads that keyword, if it comes next, in upper or in lower case.
    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let comes =
            self.keyword().is_some_and(|word| word == keyword || word == keyword.to_ascii_lowercase());
        self.at += if comes { keyword.len() } else { 0 };
        comes
    }

    /// The letters that come next, if they can be a keyword.
    fn keyword(&self) -> Option<&'a str> {
        let rest = self.rest();
        let word = &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())];
        let ends = rest[word.len()..].chars().next().is_none_or(|c| is_end(c) || c == '\'');
        ends.then_some(word)
    }

    /// The mistake that something is wrong at that byte.
    pub(super) fn mistake(&self, at: usize, message: impl Into<String>) -> Mistake {
        let before = self.text.char_indices().take_while(|(start, c)| start + c.len_utf8() <= at);
        Mistake { column: before.count() + 1, message: message.into() }
    }

    /// Reads a key without quotes if one comes next, up to its operator. A key begins with a letter, `_`, `@` or `$`, so
    /// that `12:30` and `127.0.0.1:80` are no keys; nor is what stands before `://`, and before a colon and a blank.
    pub(super) fn key(&mut self) -> Option<&'a str> {
        let mut ahead = *self;
        let name = ahead.name()?;
        ahead.is_at_operator().then(|| {
            *self = ahead;
            name
        })
    }

    fn name(&mut self) -> Option<&'a str> {
        let begins = self.peek().is_some_and(|c| c.is_alphabetic() || "_@$".contains(c));
        let name = self.read_while(|c| c.is_alphanumeric() || "_-.@$/".contains(c));
        (begins && !name.ends_with(['-', '.', '/'])).then_some(name)
    }

    fn read_while(&mut self, is_wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let read = &rest[..rest.find(|c| !is_wanted(c)).unwrap_or(rest.len())];
        self.at += read.len();
        read
    }

    fn is_at_operator(mut self) -> bool {
        let rest = self.rest();
        if rest.starts_with(|c: char| c.is_whitespace()) {
            self.skip_blanks();
            return self.is_at_spaced_operator();
        }
        let colon = rest.strip_prefix(':').map(|value| value.chars().next());
        match colon {
            Some(next) => next.is_some_and(|c| !c.is_whitespace() && c != ')') && !rest.starts_with("://"),
            None => self.operator().is_some(),
        }
    }

    /// A blank before the operator: it must be a comparison, and look like one, because `->` and `<b>` are text.
    fn is_at_spaced_operator(mut self) -> bool {
        let is_comparison = !self.rest().starts_with(':') && self.operator().is_some();
        is_comparison
            && self.peek().is_some_and(|c| c.is_whitespace() || c.is_ascii_digit() || "\"'".contains(c))
    }

    /// Reads an interval if a whole one comes next; `in (a OR b)` are words.
    pub(super) fn interval(&mut self) -> Option<Interval<'a>> {
        let mut ahead = *self;
        let name = ahead.name()?;
        ahead.skip_blanks();
        ahead.take_keyword("IN").then(|| ahead.skip_blanks())?;
        let takes_low = ahead.take("[");
        (takes_low || ahead.take("(")).then_some(())?;
        let low = ahead.number()?;
        ahead.take(",");
        let high = ahead.number()?;
        let takes_high = ahead.take("]");
        (takes_high || ahead.take(")")).then_some(())?;
        *self = ahead;
        Some(Interval { name, ends: [low, high], takes_low, takes_high })
    }

    fn number(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        let number = self.read_while(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        self.skip_blanks();
        Number::parse(number).map(|_| number)
    }

    pub(super) fn operator(&mut self) -> Option<Operator> {
        OPERATORS.iter().find(|(written, _)| self.take(written)).map(|(_, operator)| *operator)
    }

    /// Reads a word without quotes, up to a blank, a parenthesis, a quote, `&&`, `||` or one of `ends`.
    pub(super) fn bare(&mut self, ends: &[char]) -> Result<Literal, Mistake> {
        let mut literal = Literal { text: String::new(), is_open: false, at: self.at };
        while let Some(c) = self.peek_bare(ends) {
            self.at += c.len_utf8();
            match c {
                '\\' => literal.text.push(self.escaped()),
                '*' if self.peek_bare(ends).is_none() => literal.is_open = true,
                '*' => return Err(self.mistake(self.at - 1, STAR)),
                '?' => return Err(self.mistake(self.at - 1, QUESTION_MARK)),
                c => literal.text.push(c),
            }
        }
        Ok(literal)
    }

    /// The next character of a word.
    fn peek_bare(&self, ends: &[char]) -> Option<char> {
        let is_operator = self.rest().starts_with("&&") || self.rest().starts_with("||");
        self.peek().filter(|c| !is_operator && !is_end(*c) && !ends.contains(c))
    }

    /// Reads what a backslash stands before: it takes the meaning from whatever is no letter and no digit.
    fn escaped(&mut self) -> char {
        match self.peek() {
            Some(c) if !c.is_alphanumeric() => {
                self.at += c.len_utf8();
                c
            }
            _ => '\\',
        }
    }

    /// Reads a phrase in quotes; its first character is the quote.
    pub(super) fn quoted(&mut self) -> Result<Literal, Mistake> {
        let start = self.at;
        let quote = self.next();
        let mut literal = Literal { text: String::new(), is_open: false, at: start };
        loop {
            match self.next() {
                None => return Err(self.mistake(start, "this quote is not closed")),
                c if c == quote => return self.closed(literal),
                Some('\\') => literal.text.push(self.escaped()),
                Some('*') if ends_in_word(&literal.text) => {
                    literal.is_open = self.peek() == quote;
                    if !literal.is_open {
                        return Err(self.mistake(self.at - 1, STAR));
                    }
                }
                Some(c) => literal.text.push(c),
            }
        }
    }

    fn closed(&self, literal: Literal) -> Result<Literal, Mistake> {
        if self.peek() == Some('*') {
            return Err(self.mistake(self.at, "the * of a phrase stands before its closing quote"));
        }
        Ok(literal)
    }

    /// Reads a regular expression between slashes, if the second one ends it: in `/api/users` it does not.
    pub(super) fn regex(&mut self) -> Option<String> {
        let mut ahead = *self;
        let mut pattern = String::new();
        ahead.take("/").then_some(())?;
        loop {
            match ahead.next()? {
                '/' => break,
                '\\' if ahead.take("/") => pattern.push('/'),
                '\\' => {
                    pattern.push('\\');
                    pattern.push(ahead.next()?);
                }
                c => pattern.push(c),
            }
        }
        let is_whole = !pattern.is_empty() && ahead.peek().is_none_or(|c| c.is_whitespace() || c == ')');
        is_whole.then(|| {
            *self = ahead;
            pattern
        })
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }
}

const STAR: &str =
    "* stands only at the end of a word, and in quotes of the last word; write \\* for the character";
const QUESTION_MARK: &str = "? is no wildcard; write \\? for the character, or put the text in quotes";

/// Whether the character ends a word without quotes.
fn is_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}

fn ends_in_word(text: &str) -> bool {
    text.ends_with(|c| words::class(c) != Class::Gap || words::is_unspaced(c))
}
