//! The little XML there is: a writer, and a reader of small bodies.
//!
//! Written are elements with text and nothing else: the Python SDK makes program text of what it is given and runs that. Read is
//! by a parser that others keep, since what twenty SDKs send has declarations, references, CDATA and name spaces in it, and a
//! reader of our own would be wrong about one of them. A document type, which is how XML is made to grow, is refused.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use crate::api::objects::fault::Fault;
use crate::http::response::Response;

/// Deepest element that any body has.
const DEPTH_MAX: usize = 5;

/// A document that is being written.
#[derive(Debug)]
pub(super) struct Xml(String);

impl Xml {
    pub(super) fn new() -> Xml {
        Xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    /// An element with text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.within(name, |xml| xml.escaped(text));
    }

    /// An element with what `content` writes.
    pub(super) fn within(&mut self, name: &str, content: impl FnOnce(&mut Xml)) {
        self.0.push_str(&format!("<{name}>"));
        content(self);
        self.0.push_str(&format!("</{name}>"));
    }

    /// The document as an answer.
    pub(super) fn answer(self, status: u16) -> Response {
        Response::new(status).with_header("Content-Type", "application/xml").with_bytes(self.0.into_bytes())
    }

    fn escaped(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                // It has no place in XML, however it is written.
                control if control.is_control() => self.0.push(char::REPLACEMENT_CHARACTER),
                other => self.0.push(other),
            }
        }
    }
}

/// An element that was read: its name without a name space, its own text, and what is within it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Every child of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of that name, without blanks around it.
    pub(super) fn child_text(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.trim())
    }
}

/// Reads a body whose root has that name.
pub(super) fn read(bytes: &[u8], root: &str) -> Result<Element, Fault> {
    let malformed = || Fault::new(400, "MalformedXML", format!("the body must be XML with the root {root}"));
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let found = tree(text).ok_or_else(malformed)?;
    if found.name == root { Ok(found) } else { Err(malformed()) }
}

fn tree(text: &str) -> Option<Element> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    // The outermost one stands for the document.
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() > DEPTH_MAX {
                    return None;
                }
                let name = start.local_name().as_ref().to_owned();
                open.push(Element { name, ..Element::default() });
            }
            Event::End(_) => {
                let closed = open.pop()?;
                open.last_mut()?.children.push(closed);
            }
            Event::Text(text) => open.last_mut()?.text.push_str(&text),
            Event::CData(text) => open.last_mut()?.text.push_str(&text),
            Event::GeneralRef(reference) => open.last_mut()?.text.push(letter(&reference)?),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Empty(_) => {}
            Event::DocType(_) => return None,
            Event::Eof => break,
        }
    }
    let [mut document] = <[Element; 1]>::try_from(open).ok()?;
    let root = document.children.pop()?;
    (document.children.is_empty() && document.text.trim().is_empty()).then_some(root)
}

fn letter(reference: &BytesRef<'_>) -> Option<char> {
    if let Some(letter) = reference.resolve_char_ref().ok()? {
        return Some(letter);
    }
    match reference.as_ref() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(element: &Element) -> String {
        let children: Vec<String> = element.children.iter().map(told).collect();
        format!("{}={}[{}]", element.name, element.text.trim(), children.join(","))
    }

    #[test]
    fn whatever_an_sdk_writes_is_read() {
        for (text, expected) in [
            ("<D><Key>a</Key></D>", "D=[Key=a[]]"),
            ("<?xml version='1.0'?>\n<D xmlns='http://x'>\n <Key/>\n</D>\n", "D=[Key=[]]"),
            ("<D><Key>a&amp;b&#60;&#x732b;</Key><!-- c --></D>", "D=[Key=a&b<猫[]]"),
            ("<x:D xmlns:x='y'><x:Key><![CDATA[<a>]]></x:Key></x:D>", "D=[Key=<a>[]]"),
            ("<D><ETag>&quot;e&quot;</ETag></D>", "D=[ETag=\"e\"[]]"),
        ] {
            assert_eq!(told(&read(text.as_bytes(), "D").unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_malformed_or_would_grow_is_refused() {
        for wrong in [
            "",
            "x",
            "<D>",
            "<D></E>",
            "<D/><D/>",
            "<E/>",
            "<D>&nothing;</D>",
            "<!DOCTYPE D [<!ENTITY a \"b\">]><D>&a;</D>",
            "<D><D><D><D><D><D/></D></D></D></D></D>",
        ] {
            assert_eq!(read(wrong.as_bytes(), "D").unwrap_err().code, "MalformedXML", "{wrong}");
        }
        assert!(read(b"<D>\xff</D>", "D").is_err());
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut xml = Xml::new();
        xml.within("D", |xml| xml.text("Key", "<a> & \"b\"\u{1}"));
        let text = xml.0;
        assert_eq!(told(&read(text.as_bytes(), "D").unwrap()), "D=[Key=<a> & \"b\"\u{fffd}[]]");
    }
}
