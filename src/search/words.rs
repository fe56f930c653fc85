//! What a word is.

/// Bytes of a word that are told apart in an index.
pub const WORD_BYTES_MAX: usize = 64;

/// Gives `each` every word by which a line with that message can be found, in lower case, cut to [`WORD_BYTES_MAX`]; some
/// may come more than once.
pub fn index(message: &str, mut each: impl FnMut(&str)) {
    let lower = message.to_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    for word in lower.split(|c| !is_part(c)) {
        let word = word.trim_matches(['-', '_', '.']);
        let end = (0..=word.len().min(WORD_BYTES_MAX)).rfind(|end| word.is_char_boundary(*end)).unwrap_or(0);
        if end > 0 {
            each(&word[..end]);
        }
    }
}
