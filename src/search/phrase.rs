//! Is a term in a text. A term is the phrase of its words: they must follow one another in the text, whatever separates
//! them, so that `RequestId:1` and `RequestId: 1` are the same. A term without words, and one with a character of a script
//! that puts no blanks between words, is sought as it stands.
//!
//! This runs once for every line of a scan. What must stay true: nothing is allocated for a term of words, and the time is
//! bounded by the length of the text times the number of words sought: a word is only compared where one begins.

use crate::search::Case;
use crate::search::words;

/// A term to be found in texts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phrase {
    /// In lower case unless case matters.
    text: String,
    way: Way,
    case: Case,
}

/// How a term is sought.
#[derive(Clone, Debug, PartialEq)]
enum Way {
    /// These words, at least one, one after the other.
    Words {
        words: Vec<String>,
        /// Whether the last one may go on.
        is_open: bool,
        /// The byte of the first word that is looked for.
        rarest: usize,
    },
    /// As it stands. `is_bytewise` if it has no letters of two cases, so that nothing must be folded.
    Substring { is_bytewise: bool },
}

impl Phrase {
    /// The term of that text; `is_open` if a wildcard stood behind it.
    pub(super) fn new(text: &str, is_open: bool, case: Case) -> Phrase {
        let text = in_case(text, case);
        let mut found: Vec<String> = words::words(&text).map(str::to_owned).collect();
        if found.is_empty() || text.chars().any(words::is_unspaced) {
            let is_bytewise = case == Case::Matters || !text.chars().any(is_cased);
            return Phrase { text, way: Way::Substring { is_bytewise }, case };
        }
        let is_open = is_open && take_joints(&text, &mut found);
        let rarest = found.first().map_or(0, |word| rarest(word));
        Phrase { text, way: Way::Words { words: found, is_open, rarest }, case }
    }

    /// How many words are sought.
    pub(super) fn words_count(&self) -> usize {
        self.words().map_or(1, |(words, _)| words.len())
    }

    /// The words sought, and whether the last may go on; none if the term is sought as it stands.
    pub(super) fn words(&self) -> Option<(&[String], bool)> {
        match &self.way {
            Way::Words { words, is_open, .. } => Some((words, *is_open)),
            Way::Substring { .. } => None,
        }
    }

    /// Whether the text has it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        match &self.way {
            Way::Words { words, is_open, rarest } => self.has_words(text, words, *is_open, *rarest),
            Way::Substring { is_bytewise: true } => text.contains(&self.text),
            Way::Substring { is_bytewise: false } => words::folded(text).contains(&self.text),
        }
    }

    fn has_words(&self, text: &str, words: &[String], is_open: bool, rarest: usize) -> bool {
        let Some((first, rest)) = words.split_first() else { return false };
        let mut from = 0;
        while let Some(start) = self.next_start(text, first, rarest, from) {
            if self.follow(text, start, first, rest, is_open) {
                return true;
            }
            from = start + 1;
        }
        false
    }

    /// Where the next word begins, at `from` or later, that has two bytes of `word` in their place: the rarest one, by which
    /// it is found, and the first one. Both are ASCII if the first one is.
    fn next_start(&self, text: &str, word: &str, rarest: usize, from: usize) -> Option<usize> {
        let (bytes, sought) = (text.as_bytes(), word.as_bytes());
        if !sought[0].is_ascii() {
            return next_word_beyond_ascii(text, from);
        }
        let mut at = from + rarest;
        loop {
            at += self.find(sought[rarest], bytes.get(at..)?)?;
            let start = at - rarest;
            if self.is_same(sought[0], bytes[start]) && words::is_start(text, start) {
                return Some(start);
            }
            at += 1;
        }
    }

    fn find(&self, byte: u8, bytes: &[u8]) -> Option<usize> {
        match self.case {
            Case::Ignored => memchr::memchr2(byte, byte.to_ascii_uppercase(), bytes),
            Case::Matters => memchr::memchr(byte, bytes),
        }
    }

    fn is_same(&self, sought: u8, found: u8) -> bool {
        sought == if self.case == Case::Ignored { found.to_ascii_lowercase() } else { found }
    }

    /// Whether `first` stands at `start`, and `rest` behind it.
    fn follow(&self, text: &str, start: usize, first: &str, rest: &[String], is_open: bool) -> bool {
        let Some(mut at) = self.eat(text, start, first) else { return false };
        for word in rest {
            let next = words::is_end(text, at).then(|| words::next_word(text, at)).flatten();
            let Some(end) = next.and_then(|next| self.eat(text, next, word)) else { return false };
            at = end;
        }
        is_open || words::is_end(text, at)
    }

    /// Where `word` ends if it stands at `at`.
    fn eat(&self, text: &str, at: usize, word: &str) -> Option<usize> {
        if self.case == Case::Matters {
            return text[at..].starts_with(word).then(|| at + word.len());
        }
        if word.is_ascii() {
            let same = text.as_bytes().get(at..at + word.len())?.eq_ignore_ascii_case(word.as_bytes());
            return same.then(|| at + word.len());
        }
        let mut found = text[at..].char_indices();
        for wanted in word.chars() {
            found.next().filter(|(_, c)| words::fold(*c) == wanted)?;
        }
        Some(at + found.offset())
    }
}

/// The text as it is compared.
pub(super) fn in_case(text: &str, case: Case) -> String {
    if case == Case::Ignored { words::folded(text) } else { text.to_owned() }
}

/// Joints between the last word and its wildcard belong to what is sought: `10.0.*` is not `10.05`. False if something else
/// stands there, which separates: then the wildcard means nothing.
fn take_joints(text: &str, words: &mut [String]) -> bool {
    let joints = text.len() - text.trim_end_matches(|c| words::class(c) == words::Class::Joint).len();
    let is_word = text[..text.len() - joints].ends_with(|c| words::class(c) == words::Class::Letter);
    if let Some(last) = words.last_mut().filter(|_| is_word) {
        last.push_str(&text[text.len() - joints..]);
    }
    is_word
}

fn is_cased(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase()
}

/// Where in a word its rarest byte stands, as far as it is ASCII, by how often letters stand in English text and log lines.
fn rarest(word: &str) -> usize {
    const FREQUENT_FIRST: &[u8] = b"etaoinsr0-1._hld2cu3mfp45g6w7y89bvkxjqz";
    let rank = |byte: &u8| FREQUENT_FIRST.iter().position(|frequent| *frequent == byte.to_ascii_lowercase());
    let bytes = word.bytes().enumerate().take_while(|(_, byte)| byte.is_ascii());
    bytes.max_by_key(|(_, byte)| rank(byte)).map_or(0, |(at, _)| at)
}

/// Words that begin beyond ASCII are rare enough to be looked at one by one.
fn next_word_beyond_ascii(text: &str, from: usize) -> Option<usize> {
    let is_letter = |c: char| !c.is_ascii() && words::class(c) == words::Class::Letter;
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at))?;
    let mut letters = text[from..].char_indices().filter(|(_, c)| is_letter(*c)).map(|(at, _)| from + at);
    letters.find(|at| words::is_start(text, *at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(text: &str, term: &str) -> bool {
        let (term, is_open) = term.strip_suffix('*').map_or((term, false), |term| (term, true));
        let ignored = Phrase::new(term, is_open, Case::Ignored).is_in(text);
        assert!(ignored || !Phrase::new(term, is_open, Case::Matters).is_in(text), "{term} in {text}");
        ignored
    }

    #[test]
    fn terms_in_texts() {
        for (text, found, missed) in [
            ("an errorMessage here", "errorMessage error* ERROR* here an er*", "error rror* message ere"),
            ("x-error. -error_ error", "error x-error x-* err*", "x -rror r"),
            ("GET /a/b HTTP/1.1", "get/a/b a/b /a/ http/1.1 http/1* 1.* /a/*", "get/b a/b/c http/1 b/a 1."),
            ("10.0.3.4 10.05", "10.0.* 10.0* 10.05", "10.0 10.1* 0.3"),
            ("ÅNGSTRÖM ödön", "ångström ÖDÖN ång* öd*", "ngstr* ön ö"),
            ("kelvin \u{212a}elvin", "\u{212a}elvin Kelvin", "elvin"),
            ("用户Login失败", "login 户login失 失败 用户* log*", "logi 户失 in*"),
            ("done 🎉 -> ok", "🎉 -> done->ok", "🎊 <- ok->done"),
            ("a a b", "a/a/b a/b", "a/a/a b/a a-b"),
        ] {
            for term in found.split(' ') {
                assert!(has(text, term), "{term} in {text}");
            }
            for term in missed.split(' ') {
                assert!(!has(text, term), "{term} in {text}");
            }
        }
    }

    #[test]
    fn case_matters_if_it_is_told_to() {
        for (text, term, is_there) in [
            ("An Error", "Error", true),
            ("An Error", "error", false),
            ("Über", "über", false),
            ("Ü错", "ü错", false),
        ] {
            assert_eq!(Phrase::new(term, false, Case::Matters).is_in(text), is_there, "{term} in {text}");
            assert!(Phrase::new(term, false, Case::Ignored).is_in(text), "{term} in {text}");
        }
    }
}
