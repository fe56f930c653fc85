//! The part of Go's gob encoding (contract 10.1) that a caller of `net/rpc` needs: numbers, bytes and texts in structs go out;
//! whatever the other side sends is read by the types it defines, its fields by name. Pure.
//!
//! What comes in is believed in nothing: a length never makes us take more than there is, types and nesting are bounded, and a
//! value we have no use for is skipped by its definition.

use std::collections::HashMap;
use std::sync::Arc;

/// Longest message that is read, bytes; it holds an answer of 6 MB at most, and a trace.
pub(super) const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Most types the other side may define. The library has seven.
const TYPES_MAX: usize = 256;

/// Most fields of a struct.
const FIELDS_MAX: usize = 256;

/// Longest name of a field, bytes. The library's are short, and types are kept while the program lives.
const NAME_BYTES_MAX: usize = 256;

/// Most values of a message. A byte can be a value that takes fifty of ours; a library's answer has some hundreds at most, of which
/// the deepest trace has the most.
const VALUES_MAX: usize = 1 << 16;

/// How deep values may be nested.
const DEPTH_MAX: usize = 32;

/// Most elements of a list that are kept: frames of a trace.
const ELEMENTS_MAX: usize = 1024;

/// Ids of the types that every stream knows.
const BOOL: i64 = 1;
const INT: i64 = 2;
const UINT: i64 = 3;
const FLOAT: i64 = 4;
const BYTES: i64 = 5;
const STRING: i64 = 6;
const COMPLEX: i64 = 7;
const INTERFACE: i64 = 8;

/// Bytes that are no gob, or go beyond what is read; the phrase says which.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

type Result<T> = std::result::Result<T, Malformed>;

/// A value as it came. What was not sent had its type's zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    /// Names are shared with the type: a field of three bytes must not make us hold a long name once more.
    Struct(Vec<(Arc<str>, Value)>),
    /// Of a kind that nobody here asks for.
    Other,
}

impl Value {
    /// A field by its name; none where it had its zero.
    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        let Value::Struct(fields) = self else { return None };
        fields.iter().find(|(field, _)| **field == *name).map(|(_, value)| value)
    }

    /// A field's bytes, empty where it had none.
    pub(super) fn bytes(&self, name: &str) -> &[u8] {
        match self.field(name) {
            Some(Value::Bytes(bytes)) => bytes,
            _ => b"",
        }
    }

    /// A field's text, with a mark for what is no UTF-8.
    pub(super) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.bytes(name)).into_owned()
    }
}

// ------------------------------------------------------------------------------------------------------------------- writing

/// Bytes that go out.
#[derive(Debug, Default)]
pub(super) struct Encoder(Vec<u8>);

impl Encoder {
    pub(super) fn uint(&mut self, value: u64) {
        let bytes = value.to_be_bytes();
        if value < 128 {
            self.0.push(bytes[7]);
            return;
        }
        // The count of the bytes that follow, negated, in one byte.
        let (skipped, length) =
            (value.leading_zeros() as usize / 8, 8 - (value.leading_zeros() / 8).to_be_bytes()[3]);
        self.0.push(length.wrapping_neg());
        self.0.extend_from_slice(&bytes[skipped..]);
    }

    pub(super) fn int(&mut self, value: i64) {
        let twice = value.cast_unsigned() << 1;
        self.uint(if value < 0 { !twice } else { twice });
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.uint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// What was written, as one message.
    pub(super) fn into_message(self) -> Vec<u8> {
        let mut message = Encoder::default();
        message.bytes(&self.0);
        message.0
    }
}

/// A struct being written: fields in order, those that have their zero left out.
#[derive(Debug)]
pub(super) struct Fields {
    encoder: Encoder,
    since: u64,
}

impl Fields {
    /// Of a value of that type at the top of a message.
    pub(super) fn of(id: i64) -> Fields {
        let mut encoder = Encoder::default();
        encoder.int(id);
        Fields { encoder, since: 1 }
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Fields {
        if self.has(!bytes.is_empty()) {
            self.encoder.bytes(bytes);
        }
        self
    }

    pub(super) fn uint(mut self, value: u64) -> Fields {
        if self.has(value != 0) {
            self.encoder.uint(value);
        }
        self
    }

    pub(super) fn int(mut self, value: i64) -> Fields {
        if self.has(value != 0) {
            self.encoder.int(value);
        }
        self
    }

    /// A struct of two numbers, which is written even where both are zero.
    pub(super) fn pair(mut self, first: i64, second: i64) -> Fields {
        self.has(true);
        let inner = Fields { encoder: std::mem::take(&mut self.encoder), since: 1 };
        self.encoder = inner.int(first).int(second).end();
        self
    }

    /// Moves on to the next field, which is written if it has something.
    fn has(&mut self, something: bool) -> bool {
        if something {
            self.encoder.uint(self.since);
            self.since = 0;
        }
        self.since += 1;
        something
    }

    fn end(mut self) -> Encoder {
        self.encoder.uint(0);
        self.encoder
    }

    pub(super) fn into_message(self) -> Vec<u8> {
        self.end().into_message()
    }
}

/// The message that defines a struct: fields are names and types.
pub(super) fn define(id: i64, name: &str, fields: &[(&str, i64)]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.int(-id);
    // wireType's third field, whose first is the CommonType of a name and an id.
    for number in [3, 1, 1] {
        encoder.uint(number);
    }
    encoder.bytes(name.as_bytes());
    encoder.uint(1);
    encoder.int(id);
    encoder.uint(0);
    if !fields.is_empty() {
        encoder.uint(1);
        encoder.uint(fields.len() as u64);
        for (name, kind) in fields {
            encoder.uint(1);
            encoder.bytes(name.as_bytes());
            encoder.uint(1);
            encoder.int(*kind);
            encoder.uint(0);
        }
    }
    encoder.uint(0);
    encoder.uint(0);
    encoder.into_message()
}

/// Types of the fields that we write.
pub(super) mod kinds {
    pub(in super::super) const INT: i64 = super::INT;
    pub(in super::super) const UINT: i64 = super::UINT;
    pub(in super::super) const BYTES: i64 = super::BYTES;
    pub(in super::super) const STRING: i64 = super::STRING;
}

// ------------------------------------------------------------------------------------------------------------------- reading

/// A type of the other side's.
#[derive(Clone, Debug)]
enum Kind {
    Struct(Vec<(Arc<str>, i64)>),
    /// Of a fixed length, or of any: a count and elements both.
    List(i64),
    Map(i64, i64),
    /// Encoded by code of its own: bytes to us.
    Opaque,
}

/// What comes in: bytes to messages to values.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    received: Vec<u8>,
    kinds: HashMap<i64, Kind>,
}

impl Decoder {
    /// Adds what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The next value, once all of it is there.
    pub(super) fn next(&mut self) -> Result<Option<Value>> {
        loop {
            let mut reader = Reader { bytes: &self.received, kinds: &self.kinds, values: 0 };
            let Some(length) = reader.length_of_message()? else { return Ok(None) };
            let head = self.received.len() - reader.bytes.len();
            if reader.bytes.len() < length {
                return Ok(None);
            }
            reader.bytes = &reader.bytes[..length];
            let id = reader.int()?;
            let found =
                if id < 0 { Found::Kind(reader.definition()?) } else { Found::Value(reader.top(id)?) };
            if !reader.bytes.is_empty() {
                return Err(Malformed("a message is longer than what is in it"));
            }
            self.received.drain(..head + length);
            match found {
                Found::Value(value) => return Ok(Some(value)),
                Found::Kind(kind) => {
                    if self.kinds.len() == TYPES_MAX {
                        return Err(Malformed("there are too many types"));
                    }
                    // A type is defined once; a second one would change what was read by the first.
                    if self
                        .kinds
                        .insert(id.checked_neg().ok_or(Malformed("a type has no id"))?, kind)
                        .is_some()
                    {
                        return Err(Malformed("a type is defined twice"));
                    }
                }
            }
        }
    }
}

enum Found {
    Kind(Kind),
    Value(Value),
}

/// Reads the bytes of one message.
struct Reader<'a> {
    bytes: &'a [u8],
    kinds: &'a HashMap<i64, Kind>,
    /// How many have been read of this message.
    values: usize,
}

impl Reader<'_> {
    /// None while it is not there whole.
    fn length_of_message(&mut self) -> Result<Option<usize>> {
        let Some(first) = self.bytes.first() else { return Ok(None) };
        let more = if *first < 128 { 0 } else { usize::from(first.wrapping_neg()) };
        if more > 8 {
            return Err(Malformed("a number is too long"));
        }
        if self.bytes.len() <= more {
            return Ok(None);
        }
        let length = usize::try_from(self.uint()?).unwrap_or(usize::MAX);
        if length > MESSAGE_BYTES_MAX { Err(Malformed("a message is too long")) } else { Ok(Some(length)) }
    }

    fn take(&mut self, length: usize) -> Result<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Malformed("a value is cut off"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn uint(&mut self) -> Result<u64> {
        let first = self.take(1)?[0];
        if first < 128 {
            return Ok(first.into());
        }
        let length = usize::from(first.wrapping_neg());
        if length > 8 {
            return Err(Malformed("a number is too long"));
        }
        Ok(self.take(length)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn int(&mut self) -> Result<i64> {
        let value = self.uint()?;
        let half = (value >> 1).cast_signed();
        Ok(if value & 1 == 1 { !half } else { half })
    }

    fn length(&mut self) -> Result<usize> {
        let length = usize::try_from(self.uint()?).unwrap_or(usize::MAX);
        // Each element takes a byte at the least.
        if length > self.bytes.len() { Err(Malformed("a value is cut off")) } else { Ok(length) }
    }

    fn blob(&mut self) -> Result<Vec<u8>> {
        let length = self.length()?;
        self.take(length).map(<[u8]>::to_vec)
    }

    fn name(&mut self) -> Result<Arc<str>> {
        let length = self.length()?;
        if length > NAME_BYTES_MAX {
            return Err(Malformed("a name is too long"));
        }
        std::str::from_utf8(self.take(length)?).map(Arc::from).map_err(|_| Malformed("a name is no UTF-8"))
    }

    /// A value at the top of a message; what is no struct there has a zero in front.
    fn top(&mut self, id: i64) -> Result<Value> {
        if !matches!(self.kinds.get(&id), Some(Kind::Struct(_))) && self.uint()? != 0 {
            return Err(Malformed("a value has no zero in front"));
        }
        self.value(id, 0)
    }

    fn value(&mut self, id: i64, depth: usize) -> Result<Value> {
        if depth > DEPTH_MAX {
            return Err(Malformed("a value is nested too deep"));
        }
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(Malformed("a message has too many values"));
        }
        Ok(match id {
            BOOL => Value::Bool(self.uint()? != 0),
            INT => Value::Int(self.int()?),
            UINT => Value::Uint(self.uint()?),
            BYTES | STRING => Value::Bytes(self.blob()?),
            FLOAT => self.uint().map(|_| Value::Other)?,
            COMPLEX => self.uint().and_then(|_| self.uint()).map(|_| Value::Other)?,
            INTERFACE => return Err(Malformed("an interface value comes, of which nothing is known")),
            _ => match self.kinds.get(&id).ok_or(Malformed("a type is not defined"))? {
                Kind::Struct(fields) => self.fields(fields, depth)?,
                Kind::List(element) => self.list(*element, depth)?,
                Kind::Map(key, element) => {
                    for _ in 0..self.length()? {
                        self.value(*key, depth + 1)?;
                        self.value(*element, depth + 1)?;
                    }
                    Value::Other
                }
                Kind::Opaque => self.blob().map(|_| Value::Other)?,
            },
        })
    }

    fn fields(&mut self, fields: &[(Arc<str>, i64)], depth: usize) -> Result<Value> {
        let mut found = Vec::new();
        let mut number = 0usize;
        loop {
            let delta = usize::try_from(self.uint()?).unwrap_or(usize::MAX);
            if delta == 0 {
                return Ok(Value::Struct(found));
            }
            number = number.saturating_add(delta);
            let (name, id) = fields.get(number - 1).ok_or(Malformed("a struct has no such field"))?;
            let value = self.value(*id, depth + 1)?;
            found.push((Arc::clone(name), value));
        }
    }

    fn list(&mut self, element: i64, depth: usize) -> Result<Value> {
        let mut found = Vec::new();
        for _ in 0..self.length()? {
            let value = self.value(element, depth + 1)?;
            if found.len() < ELEMENTS_MAX {
                found.push(value);
            }
        }
        Ok(Value::List(found))
    }

    /// A wireType: which of its fields is set says what kind of type it is.
    fn definition(&mut self) -> Result<Kind> {
        let which = self.uint()?;
        let kind = match which {
            1 | 2 => self.list_type()?,
            3 => self.struct_type()?,
            4 => self.map_type()?,
            5..=7 => {
                self.common_only()?;
                Kind::Opaque
            }
            _ => return Err(Malformed("a type is of no kind")),
        };
        if self.uint()? != 0 { Err(Malformed("a type is of two kinds")) } else { Ok(kind) }
    }

    /// CommonType{Name, Id}, of which nothing is needed: the id is that of the message.
    fn common(&mut self) -> Result<()> {
        let mut at = 0u64;
        loop {
            let delta = self.uint()?;
            at = at.saturating_add(delta);
            match (delta, at) {
                (0, _) => return Ok(()),
                (_, 1) => self.blob().map(drop)?,
                (_, 2) => self.int().map(drop)?,
                _ => return Err(Malformed("a type has a field too many")),
            }
        }
    }

    fn common_only(&mut self) -> Result<()> {
        if self.uint()? == 1 {
            self.common()?;
            if self.uint()? != 0 {
                return Err(Malformed("a type has a field too many"));
            }
        }
        Ok(())
    }

    fn list_type(&mut self) -> Result<Kind> {
        let mut fields = self.members(&[Member::Common, Member::Number, Member::Number])?.into_iter();
        Ok(Kind::List(fields.next().flatten().unwrap_or(0)))
    }

    fn map_type(&mut self) -> Result<Kind> {
        let fields = self.members(&[Member::Common, Member::Number, Member::Number])?;
        Ok(Kind::Map(fields[0].unwrap_or(0), fields[1].unwrap_or(0)))
    }

    /// The numbers among the fields of a type, in order.
    fn members(&mut self, members: &[Member]) -> Result<Vec<Option<i64>>> {
        let mut numbers = vec![None; members.len() - 1];
        let mut at = 0usize;
        loop {
            let delta = usize::try_from(self.uint()?).unwrap_or(usize::MAX);
            if delta == 0 {
                return Ok(numbers);
            }
            at = at.saturating_add(delta);
            match members.get(at - 1).ok_or(Malformed("a type has a field too many"))? {
                Member::Common => self.common()?,
                Member::Number => numbers[at - 2] = Some(self.int()?),
            }
        }
    }

    fn struct_type(&mut self) -> Result<Kind> {
        let mut fields = Vec::new();
        let mut at = 0u64;
        loop {
            let delta = self.uint()?;
            at = at.saturating_add(delta);
            match (delta, at) {
                (0, _) => return Ok(Kind::Struct(fields)),
                (_, 1) => self.common()?,
                (_, 2) => {
                    let count = self.length()?;
                    if count > FIELDS_MAX {
                        return Err(Malformed("a struct has too many fields"));
                    }
                    for _ in 0..count {
                        fields.push(self.field_type()?);
                    }
                }
                _ => return Err(Malformed("a type has a field too many")),
            }
        }
    }

    /// A name and a type.
    fn field_type(&mut self) -> Result<(Arc<str>, i64)> {
        let (mut name, mut id, mut at) = (Arc::from(""), 0, 0u64);
        loop {
            let delta = self.uint()?;
            at = at.saturating_add(delta);
            match (delta, at) {
                (0, _) => return Ok((name, id)),
                (_, 1) => name = self.name()?,
                (_, 2) => id = self.int()?,
                _ => return Err(Malformed("a type has a field too many")),
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Member {
    Common,
    Number,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as the contract writes them: hex, with texts in quotes.
    fn golden(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, part) in text.split('"').enumerate() {
            if number % 2 == 1 {
                bytes.extend_from_slice(part.as_bytes());
                continue;
            }
            let digits: Vec<char> = part.chars().filter(char::is_ascii_hexdigit).collect();
            bytes.extend(
                digits.chunks(2).map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap()),
            );
        }
        bytes
    }

    const RESPONSE: &str = r#"3a ff85 03 01 01 08 "Response" 01 ff86 00 01 03 01 0d "ServiceMethod" 01 0c 00 01 03 "Seq" 01 06 00
        01 05 "Error" 01 0c 00 00 00  12 ff86 01 0d "Function.Ping" 00"#;

    #[test]
    fn numbers_are_those_of_the_encoding() {
        for (value, bytes) in [
            (0, "00"),
            (7, "07"),
            (127, "7f"),
            (128, "ff80"),
            (256, "fe0100"),
            (u64::MAX, "f8ffffffffffffffff"),
        ] {
            let mut encoder = Encoder::default();
            encoder.uint(value);
            assert_eq!(encoder.0, golden(bytes), "{value}");
        }
        for value in [0, 1, -1, 63, 64, -64, -65, 1_700_000_000, i64::MAX, i64::MIN] {
            let mut encoder = Encoder::default();
            encoder.int(value);
            let kinds = HashMap::new();
            assert_eq!(Reader { bytes: &encoder.0, kinds: &kinds, values: 0 }.int(), Ok(value));
        }
    }

    #[test]
    fn values_come_out_by_the_names_of_their_fields_however_they_are_cut() {
        let bytes = golden(RESPONSE);
        for cut in 0..bytes.len() {
            let mut decoder = Decoder::default();
            decoder.push(&bytes[..cut]);
            assert_eq!(decoder.next(), Ok(None), "{cut}");
            decoder.push(&bytes[cut..]);
            let value = decoder.next().unwrap().unwrap();
            assert_eq!(
                (value.text("ServiceMethod").as_str(), value.text("Error").as_str()),
                ("Function.Ping", "")
            );
            assert_eq!(decoder.next(), Ok(None));
        }
    }

    #[test]
    fn hostile_bytes_are_malformed_and_take_no_memory() {
        for (bytes, why) in [
            ("f7 00", "a number is too long"),
            ("fc ffffffff", "a message is too long"),
            ("02 ff 86", "a value is cut off"),
            ("03 ff 86 00", "a type is not defined"),
            ("02 06 00", "a value is cut off"),
            ("04 0a 00 ff ff", "a value is cut off"),
            ("03 10 00 00", "an interface value comes, of which nothing is known"),
            ("03 ff 81 09", "a type is of no kind"),
            ("04 06 00 05 05", "a message is longer than what is in it"),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(&golden(bytes));
            assert_eq!(decoder.next(), Err(Malformed(why)), "{bytes}");
        }
    }

    #[test]
    fn a_type_that_holds_itself_is_read_only_so_deep() {
        // type 65 = []65, then a value of it: a list of one of a list of one …
        let mut decoder = Decoder::default();
        decoder.push(&golden("10 ff81 02 01 01 01 \"T\" 01 ff82 00 01 ff82 00 00"));
        decoder.push(&golden(&format!("{:02x} ff82 00 {}", 3 + 60, "01".repeat(60))));
        assert_eq!(decoder.next(), Err(Malformed("a value is nested too deep")));
    }

    /// The message that defines type 65 as a list of type 66.
    fn list_of_66() -> Vec<u8> {
        golden("10 ff81 02 01 01 01 \"L\" 01 ff82 00 01 ff84 00 00")
    }

    #[test]
    fn a_name_is_held_once_however_many_values_have_it() {
        let mut decoder = Decoder::default();
        decoder.push(&define(66, "T", &[("Path", INT)]));
        decoder.push(&list_of_66());
        decoder.push(&golden("0a ff82 00 02 01 02 00 01 02 00"));
        let Value::List(items) = decoder.next().unwrap().unwrap() else { panic!("a list was sent") };
        let names: Vec<&Arc<str>> = items
            .iter()
            .map(|item| match item {
                Value::Struct(fields) => &fields[0].0,
                other => panic!("{other:?} is no struct"),
            })
            .collect();
        assert!(Arc::ptr_eq(names[0], names[1]));
    }

    #[test]
    fn a_message_has_few_values() {
        let read = |count: usize| {
            let mut decoder = Decoder::default();
            decoder.push(&define(66, "T", &[]));
            decoder.push(&list_of_66());
            let mut sender = Encoder::default();
            sender.int(65);
            sender.uint(0);
            sender.uint(count as u64);
            sender.0.resize(sender.0.len() + count, 0);
            let mut message = Encoder::default();
            message.uint(sender.0.len() as u64);
            message.0.extend(&sender.0);
            decoder.push(&message.0);
            decoder.next()
        };
        assert!(matches!(read(VALUES_MAX - 1), Ok(Some(Value::List(_)))));
        assert_eq!(read(VALUES_MAX), Err(Malformed("a message has too many values")));
    }

    #[test]
    fn a_name_has_a_bound() {
        let read = |length: usize| {
            let mut decoder = Decoder::default();
            decoder.push(&define(66, "T", &[(&"n".repeat(length), INT)]));
            decoder.next()
        };
        assert_eq!(read(NAME_BYTES_MAX), Ok(None));
        assert_eq!(read(NAME_BYTES_MAX + 1), Err(Malformed("a name is too long")));
    }

    #[test]
    fn whatever_comes_is_read_without_harm() {
        // A small generator of our own: the same bytes each time.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let seed = golden(RESPONSE);
        for _ in 0..20_000 {
            let mut bytes = seed.clone();
            for _ in 0..1 + random() % 4 {
                let at = usize::try_from(random() % bytes.len() as u64).unwrap();
                bytes[at] = random().to_be_bytes()[0];
            }
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next() {}
        }
    }
}
