//! Server-sent events, read as they come (the WHATWG's HTML standard, section 9.2.6). Pure.

/// An event, or an id alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// The id of this or of the latest event that had one.
    pub(super) id: Option<String>,
    /// What it is called; empty for the ordinary ones.
    pub(super) name: String,
    /// Empty where only an id came.
    pub(super) data: String,
}

/// What has come of a stream and is no whole event yet.
#[derive(Debug, Default)]
pub(super) struct EventStream {
    /// Of a line whose end has not come.
    line: Vec<u8>,
    /// Of an event whose end has not come; its id lasts.
    event: Event,
}

impl EventStream {
    /// Takes in what came; the events that are whole now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                events.extend(self.end_line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n'])));
            }
        }
        events
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = self.event.clone();
            self.event = Event { id: event.id.clone(), ..Event::default() };
            return Some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => self.event.name = value.to_owned(),
            "data" if self.event.data.is_empty() => self.event.data = value.to_owned(),
            "data" => self.event.data += &format!("\n{value}"),
            // A comment, or a field of a time to come.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let text = ": hello\n\nid: 3\n\nid: 4\ndata: {\"é\":1}\r\n\r\nevent: missed\nid:9\ndata: a\ndata: b\nretry: 1\n\ndata: c\n\nid: 10\n";
        let event = |id: Option<&str>, name: &str, data: &str| Event {
            id: id.map(str::to_owned),
            name: name.to_owned(),
            data: data.to_owned(),
        };
        let expected = [
            event(None, "", ""),
            event(Some("3"), "", ""),
            event(Some("4"), "", "{\"é\":1}"),
            event(Some("9"), "missed", "a\nb"),
            event(Some("9"), "", "c"),
        ];
        for size in 1..text.len() {
            let mut stream = EventStream::default();
            let events: Vec<Event> =
                text.as_bytes().chunks(size).flat_map(|chunk| stream.take(chunk)).collect();
            assert_eq!(events, expected, "in pieces of {size} bytes");
        }
    }
}
