//! The only `unsafe` of the Rust side: what rustix does not offer safely, each behind a function with a plain name.

/// Fills `buffer` from the kernel's random source, waiting for it to be seeded if the host has just booted.
pub fn random_bytes(buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::rand::getrandom(&mut buffer[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => panic!("the kernel has no random source: {errno}"),
        }
    }
}
