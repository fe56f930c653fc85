//! Requests of the TencentCloud API: whatever comes is read or refused, and a signature is right only for what was signed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|request: &[u8]| {
    fnlite::api::tencent::probe(request);
});
