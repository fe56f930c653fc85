//! What forms and links carry: names and values (`application/x-www-form-urlencoded`, the WHATWG's URL standard, section 5.1).

use crate::api::console::problem::Problem;
use crate::base::percent;

/// Names and values in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

/// Fields that a form or a link may have: far more than ours, and so few that a body of nothing but ends of fields takes no room.
const FIELDS_MAX: usize = 2000;

impl Form {
    pub(super) fn parse(text: &str) -> Result<Form, Problem> {
        if text.bytes().filter(|byte| *byte == b'&').count() >= FIELDS_MAX {
            return Err(Problem::new(413, format!("A form may have {FIELDS_MAX} fields at most.")));
        }
        let wrong = || Problem::new(400, "The address or the form has a malformed escape, or is not UTF-8.");
        let decode = |text: &str| percent::decode(&text.replace('+', " ")).ok_or_else(wrong);
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        pairs.collect::<Result<_, _>>().map(Form)
    }

    /// The value of a name; empty where it is not there, as a form sends it that was left so.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// The same without blanks around it.
    pub(super) fn word(&self, name: &str) -> &str {
        self.text(name).trim()
    }

    /// The text of a field of several lines, whose ends browsers send as CR LF.
    pub(super) fn lines(&self, name: &str) -> String {
        self.text(name).replace("\r\n", "\n")
    }

    /// Whether a box is ticked, or anything said.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// Whether a name is there, with a value or without.
    pub(super) fn is_said(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let form = Form::parse("a=%E5%87%BD+%2B&b=1%0D%0A2&c&b=3&&d=x%3Dy=z").unwrap();
        assert_eq!(
            [form.text("a"), form.word("a"), form.text("d"), form.text("x")],
            ["函 +", "函 +", "x=y=z", ""]
        );
        assert_eq!(form.lines("b"), "1\n2");
        assert_eq!((form.has("c"), form.all("b").count()), (false, 2));
        assert_eq!(Form::parse(&"a&".repeat(2000)).unwrap_err().status, 413);
        for wrong in ["a=%", "%ff=1", "a=%00"] {
            assert_eq!(Form::parse(wrong).unwrap_err().status, 400, "{wrong}");
        }
    }
}
