//! What pages load: a style, a script, an icon. They are in the binary, and browsers keep them until they change.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::api::console::guard;
use crate::base::hex;
use crate::http::response::Response;

/// Where they are.
pub(super) const PATH: &str = "/console/assets/";

/// Name, media type, content.
const ALL: &[(&str, &str, &str)] = &[
    ("console.css", "text/css; charset=utf-8", include_str!("assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_str!("assets/console.js")),
    // Before those that use it.
    ("kept.js", "text/javascript; charset=utf-8", include_str!("assets/kept.js")),
    ("completion.js", "text/javascript; charset=utf-8", include_str!("assets/completion.js")),
    ("tail.js", "text/javascript; charset=utf-8", include_str!("assets/tail.js")),
    ("sql.js", "text/javascript; charset=utf-8", include_str!("assets/sql.js")),
    ("functions.js", "text/javascript; charset=utf-8", include_str!("assets/functions.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// The scripts, each of which looks for what it is for on every page.
pub(super) fn scripts() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _, _)| *name).filter(|name| name.ends_with(".js"))
}

/// Part of every address, so that what a browser kept of another release is not used.
static EDITION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    ALL.iter().for_each(|(_, _, content)| hash.update(content));
    hex::encode(&hash.finalize()[..6])
});

/// Where the one of that name is.
pub(super) fn url(name: &str) -> String {
    format!("{PATH}{name}?{}", *EDITION)
}

/// The one of that name.
pub(super) fn get(name: &str) -> Response {
    match ALL.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, content)) => {
            let answer = Response::new(200).with_header("Content-Type", *kind);
            let answer = answer.with_header("Cache-Control", "private, max-age=31536000, immutable");
            guard::sealed(answer.with_bytes(content.as_bytes()))
        }
        None => Response::text(404, "nothing is at this path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_small() {
        let bytes: usize = ALL.iter().map(|(_, _, content)| content.len()).sum();
        assert!(bytes <= 150 * 1024, "{bytes} bytes");
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        for (name, _, content) in ALL {
            let links =
                content.matches("http").count() - content.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(links, 0, "{name}");
        }
    }
}
