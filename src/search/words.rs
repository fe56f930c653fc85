//! What a word is. A line's words are its runs of letters, digits and `-`, `_`, `.`, with these three cut off at both ends;
//! everything else separates words.
//!
//! Characters of scripts that put no blanks between words ([`is_unspaced`]) separate words as well: a text with one of them
//! is sought as it stands, in no index. So `login` is found in a line whose other characters are Chinese.
//!
//! What must stay true: [`fold`] gives one character for one, changes neither what separates and what does not, nor makes
//! ASCII of anything else. The first lets whoever folds a text cut it before or afterwards; the second lets whoever seeks
//! ASCII look at bytes. A test goes through all characters there are.

use crate::search::object;

/// Bytes of a word that are told apart in an index.
pub const WORD_BYTES_MAX: usize = 64;

/// Gives `each` every word by which a line with that message can be found, in lower case, cut to [`WORD_BYTES_MAX`]; some
/// may come more than once. In a message that is a JSON object the first-level keys and strings are read without their
/// escapes, too.
pub fn index(message: &str, mut each: impl FnMut(&str)) {
    let mut folded = String::with_capacity(message.len());
    give(message, &mut folded, &mut each);
    for text in object::unescaped(message) {
        give(&text, &mut folded, &mut each);
    }
}

fn give(text: &str, folded: &mut String, each: &mut impl FnMut(&str)) {
    folded.clear();
    fold_into(text, folded);
    words(folded).for_each(|word| each(cut(word)));
}

/// As much of a word as an index tells apart.
pub(super) fn cut(word: &str) -> &str {
    let end = (0..=word.len().min(WORD_BYTES_MAX)).rfind(|end| word.is_char_boundary(*end));
    &word[..end.unwrap_or(0)]
}

/// What a character does to the word it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Belongs to a word wherever it stands.
    Letter,
    /// Belongs to a word between two letters.
    Joint,
    /// Ends a word.
    Gap,
}

pub(super) fn class(c: char) -> Class {
    match c {
        '\0'..='\x7f' => ASCII[c as usize],
        _ if c.is_alphanumeric() && !is_unspaced(c) => Class::Letter,
        _ => Class::Gap,
    }
}

/// A table, because every byte of every line that is stored passes here.
const ASCII: [Class; 128] = {
    let mut table = [Class::Gap; 128];
    let mut code = 0u8;
    while code < 128 {
        if code.is_ascii_alphanumeric() {
            table[code as usize] = Class::Letter;
        }
        code += 1;
    }
    table[b'-' as usize] = Class::Joint;
    table[b'_' as usize] = Class::Joint;
    table[b'.' as usize] = Class::Joint;
    table
};

/// Whether the character is of a script that puts no blanks between words: Chinese, Japanese, Korean (which does, and
/// joins particles to them), Thai, Lao, Burmese, Khmer.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ffdc}' | '\u{1aff0}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}')
}

/// The character in lower case. The two small sigmas are the same. A character stays as it is if lower case would make two
/// of it, or ASCII (U+0130 and the Kelvin sign).
pub(super) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some('ς'), None) => 'σ',
        (Some(lower), None) if !lower.is_ascii() => lower,
        _ => c,
    }
}

/// The text in lower case.
pub(super) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

fn fold_into(text: &str, folded: &mut String) {
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
    } else {
        folded.extend(text.chars().map(fold));
    }
}

/// The words of a text, as they stand in it.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = next_word(text, at)?;
        at = word_end(text, start);
        Some(&text[start..at])
    })
}

/// Where the first word begins that begins at `at` or later, which is in no word.
pub(super) fn next_word(text: &str, at: usize) -> Option<usize> {
    let mut at = at;
    while let Some((class, bytes)) = class_at(text, at) {
        if class == Class::Letter {
            return Some(at);
        }
        at += bytes;
    }
    None
}

/// Where the word ends that `at` is in: behind the last letter before a gap.
pub(super) fn word_end(text: &str, at: usize) -> usize {
    let (mut at, mut end) = (at, at);
    while let Some((class, bytes)) = class_at(text, at) {
        at += bytes;
        match class {
            Class::Letter => end = at,
            Class::Joint => {}
            Class::Gap => break,
        }
    }
    end
}

/// Whether a word begins at `at`, where a letter stands: before it are joints at most, back to a gap.
pub(super) fn is_start(text: &str, at: usize) -> bool {
    before(text, at) == Class::Gap
}

/// Whether the word ends at `at`, before which a letter stands.
pub(super) fn is_end(text: &str, at: usize) -> bool {
    let mut at = at;
    while let Some((class, bytes)) = class_at(text, at) {
        if class != Class::Joint {
            return class == Class::Gap;
        }
        at += bytes;
    }
    true
}

/// The class of the last character before `at` that is no joint.
fn before(text: &str, at: usize) -> Class {
    let bytes = text.as_bytes();
    for end in (1..=at).rev() {
        match ASCII.get(usize::from(bytes[end - 1])) {
            Some(Class::Joint) => {}
            Some(class) => return *class,
            None => return text[..end].chars().next_back().map_or(Class::Gap, class),
        }
    }
    Class::Gap
}

/// The class of the character at `at`, and how many bytes it takes.
fn class_at(text: &str, at: usize) -> Option<(Class, usize)> {
    let byte = text.as_bytes().get(at)?;
    if let Some(class) = ASCII.get(usize::from(*byte)) {
        return Some((*class, 1));
    }
    text[at..].chars().next().map(|c| (class(c), c.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_of(message: &str) -> Vec<String> {
        let mut words = Vec::new();
        index(message, |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn words_of_lines() {
        for (line, words) in [
            ("", vec![]),
            ("GET /api/v1?id=7 HTTP/1.1", vec!["get", "api", "v1", "id", "7", "http", "1.1"]),
            ("--force _id_ 3.50. a-b_c.d ... -", vec!["force", "id", "3.50", "a-b_c.d"]),
            ("START RequestId:4ca7089c-3bb0", vec!["start", "requestid", "4ca7089c-3bb0"]),
            ("ÅNGSTRÖM ΟΔΟΣ ODOΣ İI \u{212a}", vec!["ångström", "οδοσ", "odoσ", "İi", "\u{212a}"]),
            ("用户login失败 ok", vec!["login", "ok"]),
            (
                r#"{"k\u0065y":"caf\u00e9 a\nb","n":[1]}"#,
                vec!["k", "u0065y", "caf", "u00e9", "a", "nb", "n", "1", "key", "café", "a", "b"],
            ),
            (r#"{"broken":"\n"#, vec!["broken", "n"]),
        ] {
            assert_eq!(index_of(line), words, "{line}");
        }
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        assert_eq!(index_of(&"x".repeat(65)), ["x".repeat(64)]);
        assert_eq!(index_of(&format!("x{}", "é".repeat(40))), [format!("x{}", "é".repeat(31))]);
    }

    #[test]
    fn folding_keeps_its_promises_for_every_character() {
        for c in '\0'..=char::MAX {
            let folded = fold(c);
            assert_eq!(fold(folded), folded, "{c}");
            assert_eq!(class(folded), class(c), "{c}");
            assert_eq!(folded.is_ascii(), c.is_ascii(), "{c}");
            assert_eq!(is_unspaced(folded), is_unspaced(c), "{c}");
        }
    }

    #[test]
    fn borders_agree_with_words() {
        for text in ["a-b .c. -d- e_ 错f错 é.g", "...a...b..", "", "-", "\u{301}a\u{301}"] {
            let starts: Vec<_> =
                words(text).map(|word| word.as_ptr().addr() - text.as_ptr().addr()).collect();
            let ends: Vec<_> = words(text).zip(&starts).map(|(word, start)| start + word.len()).collect();
            for (at, c) in text.char_indices().filter(|(_, c)| class(*c) == Class::Letter) {
                let behind = at + c.len_utf8();
                assert_eq!(is_start(text, at), starts.contains(&at), "{text} at {at}");
                assert_eq!(is_end(text, behind), ends.contains(&behind), "{text} at {behind}");
            }
        }
    }
}
