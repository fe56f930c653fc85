//! Terms with a key: the key, the operator, and what must stand behind the key.

use std::ops::Bound;

use crate::base::id::RequestId;
use crate::search::cursor::{Interval, Literal, Operator};
use crate::search::expr::{Expr, Key, Test};
use crate::search::field::{self, Field, Kind};
use crate::search::number::Number;
use crate::search::parser::Parser;
use crate::search::value::Operand;
use crate::search::{Case, Mistake};

type Ends = (Bound<Operand>, Bound<Operand>);

const NO_ID: &str = "a request ID is a UUID or 32 hex digits; write * behind the beginning of one";
const NO_NUMBER: &str = "this field is a number";
const NO_TIME: &str = "this field is a time: milliseconds since the epoch, or as in 2026-01-31T12:00:00Z";

impl Parser<'_> {
    /// A key, and what must stand behind it.
    pub(super) fn keyed(&mut self, start: usize, name: &str) -> Result<Expr, Mistake> {
        let key = self.key(start, name)?;
        self.cursor.skip_blanks();
        let operator = match self.cursor.operator() {
            Some(operator) if !self.cursor.rest().starts_with(['<', '>', '=']) => operator,
            _ => return self.fail("this is no comparison: there are > >= < <= = and !="),
        };
        if operator == Operator::Contains {
            return self.value(&key);
        }
        self.cursor.skip_blanks();
        let literal = self.literal(&[])?;
        self.compared(key, operator, &literal)
    }

    fn key(&self, start: usize, name: &str) -> Result<Key, Mistake> {
        let is_field =
            name.get(..field::PREFIX.len()).is_some_and(|it| it.eq_ignore_ascii_case(field::PREFIX));
        match Field::parse(name) {
            Some(Field::Message) => Ok(Key::Message),
            Some(field) => Ok(Key::Field(field)),
            None if is_field => {
                let names = Field::ALL.map(Field::name).join(", ");
                Err(self.mistake(start, format!("there is no field {name}; there are {names}")))
            }
            None => Ok(Key::Json(name.to_owned())),
        }
    }

    /// What stands behind a key and a colon.
    pub(super) fn value(&mut self, key: &Key) -> Result<Expr, Mistake> {
        let start = self.cursor.at;
        if let Some(pattern) = self.cursor.regex() {
            return Ok(Expr::Test(key.clone(), self.regex(start, &pattern)?));
        }
        if self.cursor.take("(") {
            return self.group(start, Some(key));
        }
        if self.cursor.rest().starts_with(['[', '{']) {
            return self.range(key);
        }
        let literal = self.literal(&[])?;
        match key {
            _ if literal.text.is_empty() => self.is(key, &literal),
            Key::Field(_) => self.is(key, &literal),
            Key::Message | Key::Json(_) => {
                let phrase = self.phrase(&literal)?;
                let number =
                    Number::parse(&literal.text).filter(|_| !literal.is_open && *key != Key::Message);
                Ok(Expr::Test(key.clone(), Test::Contains(phrase, number)))
            }
        }
    }

    fn literal(&mut self, ends: &[char]) -> Result<Literal, Mistake> {
        if self.cursor.rest().starts_with(['"', '\'']) {
            return self.cursor.quoted();
        }
        let literal = self.cursor.bare(ends)?;
        if literal.text.is_empty() && !literal.is_open {
            self.fail("a value is missing here")
        } else {
            Ok(literal)
        }
    }

    fn compared(&mut self, key: Key, operator: Operator, literal: &Literal) -> Result<Expr, Mistake> {
        let (low, high) = match operator {
            Operator::Contains | Operator::Is => return self.is(&key, literal),
            Operator::IsNot => return Ok(Expr::Not(Box::new(self.is(&key, literal)?))),
            Operator::Greater => (Bound::Excluded(self.operand(&key, literal)?), Bound::Unbounded),
            Operator::GreaterOrIs => (Bound::Included(self.operand(&key, literal)?), Bound::Unbounded),
            Operator::Less => (Bound::Unbounded, Bound::Excluded(self.operand(&key, literal)?)),
            Operator::LessOrIs => (Bound::Unbounded, Bound::Included(self.operand(&key, literal)?)),
        };
        Ok(Expr::Test(key, Test::Between(low, high)))
    }

    /// The whole of what stands behind the key.
    fn is(&mut self, key: &Key, literal: &Literal) -> Result<Expr, Mistake> {
        if literal.is_open {
            self.count(literal.at, 1)?;
            let begins = Test::Begins(Operand::text(&literal.text, self.case_of(key)));
            return Ok(Expr::Test(key.clone(), if literal.text.is_empty() { Test::Exists } else { begins }));
        }
        match key {
            Key::Field(Field::RequestId) => self.run(literal),
            Key::Field(field) if field.kind() == Kind::Name => {
                self.count(literal.at, 1)?;
                Ok(Expr::Test(key.clone(), Test::Is(Operand::text(&literal.text, Case::Matters))))
            }
            _ => Ok(Expr::Test(key.clone(), Test::Is(self.operand(key, literal)?))),
        }
    }

    fn run(&mut self, literal: &Literal) -> Result<Expr, Mistake> {
        self.count(literal.at, 1)?;
        let id = RequestId::parse(&literal.text);
        id.map(|id| Expr::Run(id, None)).ok_or_else(|| self.mistake(literal.at, NO_ID))
    }

    /// What values are compared with.
    fn operand(&mut self, key: &Key, literal: &Literal) -> Result<Operand, Mistake> {
        self.count(literal.at, 1)?;
        if literal.is_open {
            return Err(self.mistake(literal.at, "nothing is greater or less than a *"));
        }
        let text = &literal.text;
        let number = |number: Option<Number>, mistake: &str| {
            number
                .map(|number| Operand::number(number, text))
                .ok_or_else(|| self.mistake(literal.at, mistake))
        };
        match key {
            Key::Field(field) if field.kind() == Kind::Number => number(Number::parse(text), NO_NUMBER),
            Key::Field(field) if field.kind() == Kind::Time => {
                number(Number::parse(text).or_else(|| Number::parse_time(text)), NO_TIME)
            }
            _ => Ok(Operand::new(text, self.case_of(key))),
        }
    }

    fn case_of(&self, key: &Key) -> Case {
        match key {
            Key::Field(field) if field.kind() == Kind::Name => Case::Matters,
            Key::Field(Field::RequestId) => Case::Ignored,
            _ => self.case,
        }
    }

    /// `[1 TO 5]`: a square bracket takes its end in, a curly one leaves it out.
    fn range(&mut self, key: &Key) -> Result<Expr, Mistake> {
        let start = self.cursor.at;
        let takes_low = self.cursor.take("[");
        let takes_high =
            if takes_low || self.cursor.take("{") { self.range_ends(key, takes_low)? } else { None };
        let written = || self.mistake(start, "a range is written [1 TO 5], or {1 TO 5} without its ends");
        takes_high.map(|(low, high)| Expr::Test(key.clone(), Test::Between(low, high))).ok_or_else(written)
    }

    fn range_ends(&mut self, key: &Key, takes_low: bool) -> Result<Option<Ends>, Mistake> {
        let low = self.end(key, &[']', '}'])?;
        self.cursor.skip_blanks();
        if !self.cursor.take_keyword("TO") {
            return Ok(None);
        }
        let high = self.end(key, &[']', '}'])?;
        self.cursor.skip_blanks();
        let takes_high = self.cursor.take("]");
        let is_closed = takes_high || self.cursor.take("}");
        Ok(is_closed.then(|| (bound(low, takes_low), bound(high, takes_high))))
    }

    /// `key in (1 5]`: a square bracket takes its end in, a round one leaves it out.
    pub(super) fn between(&mut self, start: usize, interval: &Interval<'_>) -> Result<Expr, Mistake> {
        let key = self.key(start, interval.name)?;
        let [low, high] =
            interval.ends.map(|end| Literal { text: end.to_owned(), is_open: false, at: start });
        let low = bound(Some(self.operand(&key, &low)?), interval.takes_low);
        let high = bound(Some(self.operand(&key, &high)?), interval.takes_high);
        Ok(Expr::Test(key, Test::Between(low, high)))
    }

    /// One end of a range; none for `*`.
    fn end(&mut self, key: &Key, ends: &[char]) -> Result<Option<Operand>, Mistake> {
        self.cursor.skip_blanks();
        let literal = self.literal(ends)?;
        if literal.is_open && literal.text.is_empty() {
            return Ok(None);
        }
        self.operand(key, &literal).map(Some)
    }
}

fn bound(end: Option<Operand>, is_in: bool) -> Bound<Operand> {
    match end {
        None => Bound::Unbounded,
        Some(operand) if is_in => Bound::Included(operand),
        Some(operand) => Bound::Excluded(operand),
    }
}
