//! What a Go program sends in the encoding of its library: whatever comes is read or refused, without harm.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    fnlite::instance::probe_gob(bytes);
});
