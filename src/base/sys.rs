//! The only `unsafe` of the Rust side: what rustix does not offer safely, each behind a function with a plain name.
#![expect(unsafe_code, reason = "raw system calls have exactly one home")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::thread::UnshareFlags;

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

/// Has buffers of this size and above given back to the system when they are freed. Left alone, the allocator learns from the
/// first large one to keep them, up to twice its size for each of its arenas, of which a server with many threads has many.
pub fn give_back_buffers_from(size_bytes: i32) {
    // SAFETY: no memory is passed; a value it does not like changes nothing.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, size_bytes);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = size_bytes;
}

/// Gives freed memory back to the system, which the allocator otherwise keeps for what comes next. Takes milliseconds.
pub fn give_back_freed_memory() {
    // SAFETY: no memory is passed, and what is in use stays where it is.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Moves this process, or its next children for a pid namespace, into new namespaces.
pub fn unshare(flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES), "descriptor tables stay shared: std counts on it");
    // SAFETY: the one hazard of unshare is a thread with a descriptor table of its own, which is ruled out above.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}

/// Forks a process that has one thread; `None` in the child.
pub fn fork_single_threaded() -> io::Result<Option<rustix::process::Pid>> {
    // For a process of one thread this asks for what it has, for another it is refused; there may be no /proc to look.
    // SAFETY: no memory is passed, and nothing changes.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } != 0 {
        return Err(io::Error::other("a process with several threads cannot be forked safely"));
    }
    // SAFETY: there is no other thread that could hold a lock the child would wait for.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(rustix::process::Pid::from_raw(pid)),
    }
}

/// Makes every mount below `path` read-only and deaf to set-user-ID bits (mount_setattr, Linux 5.12).
pub fn make_mounts_read_only(path: &str) -> io::Result<()> {
    let path = CString::new(path).map_err(io::Error::other)?;
    // SAFETY: `mount_attr` is plain numbers, for which zero is a value.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID;
    let size = size_of::<libc::mount_attr>();
    let flags = libc::AT_RECURSIVE;
    // SAFETY: both pointers are to live values of the stated sizes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The Landlock version of this kernel; 0 where it has none or it is switched off.
pub fn landlock_abi() -> i32 {
    const VERSION: u32 = 1;
    // SAFETY: asking for the version passes no memory.
    let abi =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION) };
    i32::try_from(abi).unwrap_or(0).max(0)
}

/// Whether this kernel lets an unprivileged process install a system-call filter.
pub fn has_seccomp() -> bool {
    const GET_ACTION_AVAIL: u32 = 2;
    let errno_action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the pointer is to a live u32, which is all the call reads.
    unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0u32, &raw const errno_action) == 0 }
}

/// Signals that ask the process to stop, held back from every thread so that one can wait for them.
#[derive(Debug)]
pub struct StopSignals(libc::sigset_t);

impl StopSignals {
    /// Holds back SIGTERM and SIGINT. Call it before other threads are started: they inherit it. Children started
    /// through std do not.
    pub fn hold() -> io::Result<StopSignals> {
        // SAFETY: a signal set is plain bits, for which zero is a value, and all pointers are to it.
        let (set, result) = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigaddset(&raw mut set, libc::SIGINT);
            (set, libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))
        };
        if result == 0 { Ok(StopSignals(set)) } else { Err(io::Error::from_raw_os_error(result)) }
    }

    /// Waits for the next one.
    pub fn wait(&self) {
        let mut signal = 0;
        // SAFETY: both pointers are to live values. It fails only for a set that holds no signal.
        unsafe { libc::sigwait(&raw const self.0, &raw mut signal) };
    }
}

/// Closes every descriptor but the standard ones, whatever it is. For a process that has just begun, where nobody owns any.
pub fn close_inherited() -> io::Result<()> {
    // SAFETY: it passes no memory; callers have no descriptor that they would use again.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) };
    if closed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes over a descriptor that was passed to this process at its start, once.
pub fn passed_descriptor(number: i32) -> io::Result<std::os::fd::OwnedFd> {
    static TAKEN: std::sync::Mutex<Vec<i32>> = std::sync::Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().map_err(|_| io::Error::other("poisoned"))?;
    // SAFETY: asking for flags passes no memory; a number that is no descriptor is an error.
    let open = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } >= 0;
    if !open || number <= 2 || taken.contains(&number) {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    taken.push(number);
    // SAFETY: it is open, and the list makes this its only owner here: nobody else in this process was given the number.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(number) })
}

/// Lets a descriptor pass an exec, under the number `as_number`.
pub fn hand_over(fd: BorrowedFd<'_>, as_number: i32) -> io::Result<()> {
    let keep = if fd.as_raw_fd() == as_number {
        // SAFETY: the descriptor is borrowed, hence open.
        unsafe { libc::fcntl(as_number, libc::F_SETFD, 0) }
    } else {
        // SAFETY: whatever had that number is replaced; callers hand over in a process about to exec.
        unsafe { libc::dup2(fd.as_raw_fd(), as_number) }
    };
    if keep < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_forked() {
        std::thread::scope(|scope| {
            let refused = scope.spawn(fork_single_threaded).join().unwrap();
            assert!(refused.unwrap_err().to_string().contains("several threads"));
        });
    }
}
