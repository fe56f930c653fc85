//! Sealing: bytes that only who has the key can read, and that open only where they were sealed for.
//!
//! XChaCha20-Poly1305 with a nonce of 24 random bytes, of which so many can be drawn with one key that none ever comes twice.
//! What a value is for (a purpose and an id) is authenticated with it, so a sealed value that is put in another one's place
//! does not open. What must stay true: a purpose keeps its word for ever, and nothing but [`Seal::seal`] draws a nonce.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::base::{hex, sys};

const NONCE_BYTES: usize = 24;

/// A key, ready for use.
pub struct Seal(XChaCha20Poly1305);

/// 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// A new one.
    pub fn random() -> SealKey {
        let mut bytes = [0; 32];
        sys::random_bytes(&mut bytes);
        SealKey(bytes)
    }

    /// From 64 hexadecimal digits, with white space around them.
    pub fn parse(text: &str) -> Option<SealKey> {
        let digits = text.trim();
        // Or a sign would be taken for a digit below.
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (number, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[number * 2..number * 2 + 2], 16).ok()?;
        }
        Some(SealKey(bytes))
    }

    /// As 64 hexadecimal digits.
    pub fn digits(&self) -> String {
        hex::encode(&self.0)
    }
}

impl Seal {
    /// Seals and opens with that key.
    pub fn new(key: &SealKey) -> Seal {
        Seal(XChaCha20Poly1305::new(&key.0.into()))
    }

    /// Seals `plain` for the `purpose` it has at `id`; Base64.
    pub fn seal(&self, purpose: &str, id: i64, plain: &[u8]) -> String {
        let mut nonce = [0; NONCE_BYTES];
        sys::random_bytes(&mut nonce);
        let bound = bound(purpose, id);
        let payload = Payload { msg: plain, aad: &bound };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("only a text of many gigabytes cannot be sealed");
        STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// What was sealed for that purpose and id with this key; `None` for anything else.
    pub fn open(&self, purpose: &str, id: i64, sealed: &str) -> Option<Vec<u8>> {
        let bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let bound = bound(purpose, id);
        self.0.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &bound }).ok()
    }
}

/// Unambiguous, because the id always has eight bytes.
fn bound(purpose: &str, id: i64) -> Vec<u8> {
    [purpose.as_bytes(), &id.to_be_bytes()].concat()
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_for_its_purpose_and_id_and_key_only() {
        let key = SealKey::random();
        let seal = Seal::new(&key);
        for plain in [&b""[..], b"{\"A\":\"b\"}", &[0; 100_000]] {
            let sealed = seal.seal("environment", 7, plain);
            assert_eq!(Seal::new(&key).open("environment", 7, &sealed).as_deref(), Some(plain));
            assert_eq!(seal.open("environment", 8, &sealed), None);
            assert_eq!(seal.open("trigger", 7, &sealed), None);
            assert_eq!(Seal::new(&SealKey::random()).open("environment", 7, &sealed), None);
            assert_ne!(seal.seal("environment", 7, plain), sealed, "a nonce was used twice");
        }
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let seal = Seal::new(&SealKey::random());
        let sealed = seal.seal("environment", 7, b"secret");
        for number in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[number] = if bytes[number] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open("environment", 7, std::str::from_utf8(&bytes).unwrap()), None, "{number}");
            assert_eq!(seal.open("environment", 7, &sealed[..number]), None, "{number}");
        }
    }

    #[test]
    fn keys_are_written_as_64_digits() {
        let key = SealKey::random();
        assert_eq!(SealKey::parse(&format!(" {}\n", key.digits())), Some(key.clone()));
        assert_eq!(SealKey::parse(&key.digits().to_uppercase()), Some(key.clone()));
        let digits = key.digits();
        for wrong in ["", &digits[1..], &format!("{digits}0"), &format!("+{}", &digits[1..])] {
            assert_eq!(SealKey::parse(wrong), None, "{wrong}");
        }
        assert!(!format!("{key:?}{:?}", Seal::new(&key)).contains(&digits[..8]));
    }
}
