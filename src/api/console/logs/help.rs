//! The query language in short.

use maud::{Markup, html};

const EXAMPLES: [(&str, &str); 9] = [
    ("timeout", "lines with that word"),
    ("err*", "lines with a word that begins so"),
    ("\"GET /api/v1\"", "lines with these words one after the other"),
    ("(error OR refused) AND NOT retry", "words put together"),
    ("01a218de-e982-7d4f-9279-09d59559c9d8", "the lines of a run, by its request ID"),
    ("SCF_StatusCode>=430", "lines of runs that ended so"),
    ("SCF_Level:ERROR", "what the platform says of failures"),
    ("SCF_Duration>200", "lines of runs that took longer, in milliseconds"),
    ("user:42", "lines that are JSON objects with that value"),
];

pub(super) fn language() -> Markup {
    html! {
        details {
            summary { "How to ask" }
            dl.facts { @for (query, says) in EXAMPLES { dt { code { (query) } } dd { (says) } } }
        }
    }
}
