//! What is said of a query that is none.

use super::*;

/// The text is refused at that column, with a sentence that has these words.
fn refused(text: &str, column: usize, words: &str) {
    match Query::parse(text, Case::Ignored) {
        Ok(query) => panic!("{text:.80} was understood: {query:?}"),
        Err(mistake) => {
            assert_eq!(mistake.column, column, "{text:.80}: {mistake}");
            assert!(mistake.message.contains(words), "{text:.80}: {mistake}");
        }
    }
}

#[test]
fn mistakes_and_where_they_are_seen() {
    for (text, column, words) in [
        ("*err", 1, "end of a word"),
        ("ab*cd", 3, "end of a word"),
        ("**", 1, "end of a word"),
        ("\"ab* cd\"", 4, "of the last word"),
        ("\"ab\"*", 5, "before its closing quote"),
        ("er?or", 3, "no wildcard"),
        ("größe key:?x", 11, "no wildcard"),
        ("(a", 1, "not closed"),
        ("a (b OR (c)", 3, "not closed"),
        ("a)", 2, "closes nothing"),
        ("()", 2, "nothing in these parentheses"),
        ("main()", 6, "nothing in these parentheses"),
        ("\"abc", 1, "not closed"),
        ("a 'bc", 3, "not closed"),
        ("\"\"", 1, "nothing in these quotes"),
        ("AND a", 1, "a word is missing"),
        ("a AND", 6, "a word is missing"),
        ("a OR OR b", 6, "a word is missing"),
        ("NOT", 4, "a word is missing"),
        ("(a OR )", 7, "a word is missing"),
        ("|| a", 1, "a word is missing"),
        ("a & & b |", 9, "fnlite sql"),
        ("* | select count(*)", 3, "fnlite sql"),
        ("a -b", 3, "NOT"),
        ("SCF_Nothing:1", 1, "SCF_RequestId, SCF_Alias"),
        ("a scf_x>1", 3, "no field scf_x"),
        ("SCF_Level: ERROR", 1, "no blank"),
        ("SCF_RequestId:abc", 15, "UUID"),
        ("SCF_StatusCode:abc", 16, "a number"),
        ("SCF_StatusCode>=4*", 17, "greater or less"),
        ("SCF_LogTime>yesterday", 13, "milliseconds"),
        ("SCF_LogTime>2026-01-31", 13, "milliseconds"),
        ("n>", 3, "a value is missing"),
        ("n>=)", 4, "a value is missing"),
        ("\"a\": 5", 5, "a value is missing"),
        ("n=>5", 3, "no comparison"),
        ("n==5", 3, "no comparison"),
        ("n:[1 5]", 3, "[1 TO 5]"),
        ("n:[1 TO 5", 3, "[1 TO 5]"),
        ("n:[1 TO ]", 9, "a value is missing"),
        ("/a(/", 1, "unclosed group"),
        ("k:/[z-a]/", 3, "no regular expression"),
        (r"/\w{500}{500}/", 1, "too large"),
    ] {
        refused(text, column, words);
    }
}

#[test]
fn nothing_is_without_bounds() {
    refused(&"x".repeat(12 * 1024 + 1), 12 * 1024 + 1, "12288 bytes");
    refused(&"错".repeat(5000), 4097, "12288 bytes");
    query(&"x".repeat(12 * 1024));
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    query(&nested(50));
    refused(&nested(51), 51, "50 levels");
    refused(&"(".repeat(12_000), 51, "50 levels");
    refused(&"NOT ".repeat(3000), 201, "50 levels");
    refused(&"k:(".repeat(3000), 153, "50 levels");
    query(&"a ".repeat(200));
    refused(&"a ".repeat(201), 401, "200 words");
    refused(&format!("\"{}\"", "a ".repeat(201)), 1, "200 words");
    refused(&"* ".repeat(201), 401, "200 words");
    query(&"/a/ ".repeat(5));
    refused(&"/a/ ".repeat(6), 21, "200 words");
}
