//! The chunked transfer coding of request bodies (RFC 9112 section 7.1), decoded in place.
//!
//! Extensions and trailers are read, bounded and dropped. Only CRLF ends a line, and nothing but `;` or the line end
//! may follow a size: sizes with blanks or signs are read differently by others.

use super::limits;
use super::refusal::Refusal;

/// A decoder; the state between two pieces of input.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    state: State,
    /// Bytes of the chunk still to come; while its size is read, the size so far.
    left: u64,
    /// Bytes of extensions and trailers so far.
    overhead: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    SizeStart,
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerEnd,
    LastLf,
    Done,
}

/// What one step found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step<'a> {
    /// Bytes of the input that are dealt with.
    pub used: usize,
    /// Body bytes among them.
    pub data: &'a [u8],
    /// Whether the body has ended.
    pub done: bool,
}

impl Chunked {
    /// Decodes up to the end of one run of data; called again with what was not used until all is or `done` is set.
    pub(crate) fn step<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, Refusal> {
        let mut used = 0;
        while self.state != State::Done && used < input.len() {
            if self.state == State::Data {
                let data = self.data(&input[used..]);
                return Ok(Step { used: used + data.len(), data, done: false });
            }
            self.byte(input[used])?;
            used += 1;
        }
        Ok(Step { used, data: &[], done: self.state == State::Done })
    }

    fn data<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let length = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        self.left -= length as u64;
        if self.left == 0 {
            self.state = State::DataCr;
        }
        &input[..length]
    }

    fn byte(&mut self, byte: u8) -> Result<(), Refusal> {
        self.state = match (self.state, byte) {
            (State::SizeStart | State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte)?,
            (State::Size, b';') => State::Extension,
            (State::Size | State::Extension, b'\r') => State::SizeEnd,
            (State::Extension, byte) => self.dropped(byte, State::Extension)?,
            (State::SizeEnd, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeEnd, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::SizeStart,
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::LastLf, b'\n') => State::Done,
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::TrailerEnd, b'\n') => State::TrailerStart,
            (State::TrailerStart | State::Trailer, byte) => self.dropped(byte, State::Trailer)?,
            _ => return Err(Refusal::Malformed("a chunk is malformed")),
        };
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<State, Refusal> {
        let digit = char::from(byte).to_digit(16).expect("the caller matched a hexadecimal digit");
        let size = if self.state == State::SizeStart { 0 } else { self.left };
        // Sixty bits: far above any limit, and no sum with it can overflow.
        if size >= 1 << 56 {
            return Err(Refusal::BodyTooLarge);
        }
        self.left = size * 16 + u64::from(digit);
        // Leading zeros are counted, or they could go on for ever.
        self.dropped(b' ', State::Size)
    }

    fn dropped(&mut self, byte: u8, next: State) -> Result<State, Refusal> {
        if byte != b'\t' && (byte < 0x20 || byte == 0x7f) {
            return Err(Refusal::Malformed("a chunk extension or trailer has control bytes"));
        }
        // Extensions in proportion to the body would be free work for us; digits are part of any chunk.
        self.overhead += usize::from(next != State::Size || self.left == 0);
        if self.overhead > limits::CHUNK_OVERHEAD_BYTES_MAX {
            return Err(Refusal::Malformed("chunk extensions and trailers exceed 16 KiB"));
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and what follows it, fed in pieces of `piece` bytes; `None` while it has not ended.
    fn decode(input: &[u8], piece: usize) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let (mut decoder, mut body, mut at) = (Chunked::default(), Vec::new(), 0);
        for part in input.chunks(piece) {
            let mut used = 0;
            while used < part.len() {
                let step = decoder.step(&part[used..])?;
                body.extend_from_slice(step.data);
                used += step.used;
                if step.done {
                    return Ok(Some((body, input.len() - at - used)));
                }
            }
            at += part.len();
        }
        Ok(None)
    }

    #[test]
    fn bodies_come_out_whole_in_pieces_of_any_size() {
        let input = b"5\r\nhello\r\n00A;x=\"y\"\r\n, world...\r\n0\r\nTrailer: a\r\nB: c\r\n\r\nGET /";
        for piece in 1..=input.len() {
            assert_eq!(decode(input, piece), Ok(Some((b"hello, world...".to_vec(), 5))), "{piece}");
        }
        assert_eq!(decode(b"0\r\n\r\n", 2), Ok(Some((Vec::new(), 0))));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for input in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\na",
            " 1\r\na",
            "1 \r\na",
            "0x1\r\na",
            "1\na",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1;a\nb\r\n",
            "1;\0\r\n",
            "0\r\n\n",
            "0\r\nA: b\n\r\n",
            "0\r\nA\0\r\n\r\n",
            "1\r\na\r\r\n",
        ] {
            assert!(matches!(decode(input.as_bytes(), 1), Err(Refusal::Malformed(_))), "{input:?}");
        }
        assert_eq!(decode(b"ffffffffffffffffff\r\n", 4), Err(Refusal::BodyTooLarge));
    }

    #[test]
    fn overhead_is_bounded() {
        let long = "a".repeat(limits::CHUNK_OVERHEAD_BYTES_MAX);
        for input in [format!("1;{long}a"), format!("0\r\nA: {long}"), format!("0{long}").replace('a', "0")] {
            assert!(matches!(decode(input.as_bytes(), 999), Err(Refusal::Malformed(_))), "{}", &input[..9]);
        }
    }
}
