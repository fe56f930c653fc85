//! Text to expression: what binds to what. The grammar stands on the page of [`search`](crate::search).
//!
//! What must stay true: nothing here goes deeper than [`DEPTH_MAX`], and nothing that was read makes more than
//! [`TERMS_MAX`] terms, whatever the text is.

use crate::search::cursor::Cursor;
use crate::search::expr::{Expr, Key};
use crate::search::{Case, Mistake};

/// Bytes of a query (contract 5.4).
pub(super) const TEXT_BYTES_MAX: usize = 12 * 1024;

/// How deep parentheses and denials nest.
pub(super) const DEPTH_MAX: usize = 50;

/// Words and values of a query. Each is looked for in every line that is read.
pub(super) const TERMS_MAX: usize = 200;

pub(super) fn parse(text: &str, case: Case) -> Result<Expr, Mistake> {
    let mut parser = Parser { cursor: Cursor::new(text), case, depth: 0, terms: 0 };
    if text.len() > TEXT_BYTES_MAX {
        return Err(parser.mistake(TEXT_BYTES_MAX, format!("a query has {TEXT_BYTES_MAX} bytes at most")));
    }
    parser.whole()
}

pub(super) struct Parser<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) case: Case,
    depth: usize,
    terms: usize,
}

impl Parser<'_> {
    fn whole(&mut self) -> Result<Expr, Mistake> {
        self.cursor.skip_blanks();
        if self.cursor.rest().is_empty() {
            return Ok(Expr::Every);
        }
        let expr = self.either(None)?;
        if self.cursor.rest().is_empty() { Ok(expr) } else { self.fail("this parenthesis closes nothing") }
    }

    /// Terms with OR between them. Words without a key belong to `key`, if one stands before the parenthesis.
    fn either(&mut self, key: Option<&Key>) -> Result<Expr, Mistake> {
        let mut ones = vec![self.both(key)?];
        while self.take_operator("OR", "||") {
            ones.push(self.both(key)?);
        }
        Ok(if ones.len() == 1 { ones.remove(0) } else { Expr::One(ones) })
    }

    /// Terms with AND or nothing between them.
    fn both(&mut self, key: Option<&Key>) -> Result<Expr, Mistake> {
        let mut all = vec![self.denied(key)?];
        while self.take_operator("AND", "&&") || self.is_at_term() {
            all.push(self.denied(key)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expr::All(all) })
    }

    fn denied(&mut self, key: Option<&Key>) -> Result<Expr, Mistake> {
        self.cursor.skip_blanks();
        let start = self.cursor.at;
        if !self.take_operator("NOT", "!") {
            return self.primary(key);
        }
        let denied = self.deeper(start, |parser| parser.denied(key))?;
        Ok(Expr::Not(Box::new(denied)))
    }

    fn primary(&mut self, key: Option<&Key>) -> Result<Expr, Mistake> {
        self.cursor.skip_blanks();
        let start = self.cursor.at;
        if self.cursor.take("(") {
            return self.group(start, key);
        }
        if !self.is_at_term() {
            return self.fail("a word is missing here");
        }
        match key {
            Some(key) => self.value(key),
            None => self.term(),
        }
    }

    /// What stands in parentheses, of which the first one, at `start`, was read.
    pub(super) fn group(&mut self, start: usize, key: Option<&Key>) -> Result<Expr, Mistake> {
        self.cursor.skip_blanks();
        if self.cursor.rest().starts_with(')') {
            return self.fail("there is nothing in these parentheses; in quotes they are text");
        }
        let expr = self.deeper(start, |parser| parser.either(key))?;
        if self.cursor.take(")") {
            Ok(expr)
        } else {
            Err(self.mistake(start, "this parenthesis is not closed"))
        }
    }

    fn deeper(
        &mut self,
        start: usize,
        inner: impl FnOnce(&mut Self) -> Result<Expr, Mistake>,
    ) -> Result<Expr, Mistake> {
        if self.depth == DEPTH_MAX {
            return Err(self.mistake(start, format!("a query nests {DEPTH_MAX} levels deep at most")));
        }
        self.depth += 1;
        let expr = inner(self);
        self.depth -= 1;
        expr
    }

    fn take_operator(&mut self, keyword: &str, sign: &str) -> bool {
        self.cursor.skip_blanks();
        self.cursor.take_keyword(keyword) || self.cursor.take(sign)
    }

    /// Whether a term comes next, or something before one.
    fn is_at_term(&self) -> bool {
        let mut ahead = self.cursor;
        ahead.skip_blanks();
        let is_operator = |ahead: &mut Cursor<'_>| {
            ahead.take_keyword("AND") || ahead.take_keyword("OR") || ahead.take("&&") || ahead.take("||")
        };
        !ahead.rest().is_empty() && !ahead.rest().starts_with(')') && !is_operator(&mut ahead)
    }

    /// Counts what costs as much as so many words.
    pub(super) fn count(&mut self, at: usize, terms: usize) -> Result<(), Mistake> {
        self.terms += terms;
        if self.terms <= TERMS_MAX {
            return Ok(());
        }
        Err(self.mistake(at, format!("a query has {TERMS_MAX} words at most")))
    }

    pub(super) fn mistake(&self, at: usize, message: impl Into<String>) -> Mistake {
        self.cursor.mistake(at, message)
    }

    /// The mistake that something is wrong with what comes next.
    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Result<T, Mistake> {
        Err(self.mistake(self.cursor.at, message))
    }
}
