//! Standard output and error of a run, cut into lines with times and held to the contract's caps (5.1, 5.2).
//!
//! Pure: bytes and times come in, lines go out. A line is never held beyond its stored length, so a flood without line ends
//! costs nothing. What the caps drop is counted and told in a line of its own.

use crate::model::limits;
use crate::model::log::{Level, LogLine, Stream};

/// Turns the bytes of two streams into lines.
#[derive(Debug)]
pub(crate) struct Output {
    lines: Vec<LogLine>,
    parts: [Part; 2],
    window: Window,
}

/// A line that has not ended yet.
#[derive(Debug, Default)]
struct Part {
    bytes: Vec<u8>,
    /// Something of this line was read, even if nothing of it is kept.
    open: bool,
    since_us: i64,
}

/// What the current window of the caps has seen.
#[derive(Debug, Default)]
struct Window {
    began_us: i64,
    lines: usize,
    bytes: usize,
    dropped: u64,
}

impl Output {
    pub(crate) fn new(now_us: i64) -> Output {
        Output {
            lines: Vec::new(),
            parts: Default::default(),
            window: Window { began_us: now_us, ..Default::default() },
        }
    }

    /// Adds what was read from a stream at `now_us`.
    pub(crate) fn push(&mut self, stream: Stream, bytes: &[u8], now_us: i64) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.extend(stream, &rest[..end], now_us);
            self.end_line(stream, now_us);
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            self.extend(stream, rest, now_us);
        }
    }

    /// Ends the lines that have no end, and tells what was dropped.
    pub(crate) fn finish(&mut self, now_us: i64) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if self.part(stream).open {
                self.end_line(stream, now_us);
            }
        }
        self.tell_dropped(now_us);
    }

    /// The whole lines so far, leaving none.
    pub(crate) fn take(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.lines)
    }

    fn part(&mut self, stream: Stream) -> &mut Part {
        &mut self.parts[usize::from(stream == Stream::Stderr)]
    }

    fn extend(&mut self, stream: Stream, bytes: &[u8], now_us: i64) {
        let part = self.part(stream);
        if !part.open {
            part.open = true;
            part.since_us = now_us;
        }
        let room = limits::LOG_LINE_BYTES_MAX - part.bytes.len();
        part.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self, stream: Stream, now_us: i64) {
        let part = std::mem::take(self.part(stream));
        let ts_us = if part.open { part.since_us } else { now_us };
        if !self.admit(part.bytes.len(), now_us) {
            return;
        }
        self.lines.push(LogLine { ts_us, stream, level: Level::Info, message: text(part.bytes) });
    }

    /// Whether the caps let a line of that length pass.
    fn admit(&mut self, bytes: usize, now_us: i64) -> bool {
        let length_us = i64::try_from(limits::LOG_WINDOW_S * 1_000_000).unwrap_or(i64::MAX);
        if now_us - self.window.began_us >= length_us {
            self.tell_dropped(now_us);
            self.window = Window { began_us: now_us, ..Default::default() };
        }
        let fits = self.window.lines < limits::LOG_WINDOW_LINES_MAX
            && self.window.bytes + bytes <= limits::LOG_WINDOW_BYTES_MAX;
        if fits {
            self.window.lines += 1;
            self.window.bytes += bytes;
        } else {
            self.window.dropped += 1;
        }
        fits
    }

    fn tell_dropped(&mut self, now_us: i64) {
        let dropped = std::mem::take(&mut self.window.dropped);
        if dropped == 0 {
            return;
        }
        let message = format!(
            "[PLATFORM] {dropped} lines dropped: a run may log {} lines and {} bytes in {} s",
            limits::LOG_WINDOW_LINES_MAX,
            limits::LOG_WINDOW_BYTES_MAX,
            limits::LOG_WINDOW_S
        );
        self.lines.push(LogLine { ts_us: now_us, stream: Stream::Platform, level: Level::Error, message });
    }
}

/// The bytes as text. A character cut by the length cap goes; other bytes that are no UTF-8 become U+FFFD; the line end of
/// other systems is no part of the line.
fn text(mut bytes: Vec<u8>) -> String {
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    if bytes.len() == limits::LOG_LINE_BYTES_MAX
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(output: &mut Output) -> Vec<String> {
        output.take().into_iter().map(|line| line.message).collect()
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let mut output = Output::new(0);
        for byte in b"one\ntwo\r\n\nthree" {
            output.push(Stream::Stdout, &[*byte], 1);
        }
        assert_eq!(messages(&mut output), ["one", "two", ""]);
        output.finish(2);
        assert_eq!(messages(&mut output), ["three"]);
    }

    #[test]
    fn streams_do_not_mix_within_a_line() {
        let mut output = Output::new(0);
        output.push(Stream::Stdout, b"out ", 1);
        output.push(Stream::Stderr, b"err\n", 2);
        output.push(Stream::Stdout, b"put\n", 3);
        let lines = output.take();
        assert_eq!((lines[0].stream, lines[0].message.as_str()), (Stream::Stderr, "err"));
        assert_eq!((lines[1].ts_us, lines[1].message.as_str()), (1, "out put"));
    }

    #[test]
    fn a_line_is_cut_at_a_character() {
        let mut output = Output::new(0);
        let long = format!("a{}\nnext\n", "é".repeat(limits::LOG_LINE_BYTES_MAX));
        output.push(Stream::Stdout, long.as_bytes(), 1);
        let lines = messages(&mut output);
        assert_eq!(lines[0].len(), limits::LOG_LINE_BYTES_MAX - 1);
        assert!(lines[0].ends_with('é'));
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn a_flood_is_counted_and_a_new_window_opens() {
        let mut output = Output::new(0);
        output.push(Stream::Stdout, "x\n".repeat(limits::LOG_WINDOW_LINES_MAX + 7).as_bytes(), 1);
        assert_eq!(output.take().len(), limits::LOG_WINDOW_LINES_MAX);
        output.push(Stream::Stdout, b"later\n", 6_000_000);
        let lines = messages(&mut output);
        assert!(lines[0].starts_with("[PLATFORM] 7 lines dropped"), "{lines:?}");
        assert_eq!(lines[1], "later");
    }

    #[test]
    fn bytes_that_are_no_text_do_not_stop_the_log() {
        let mut output = Output::new(0);
        output.push(Stream::Stdout, b"\xff\xfe ok\n", 1);
        assert_eq!(messages(&mut output), ["\u{fffd}\u{fffd} ok"]);
    }
}
