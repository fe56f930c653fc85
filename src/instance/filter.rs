//! The system-call filter of everything that runs user code: a deny-list of what no function needs and what has been a way
//! out of sandboxes.
//!
//! It is installed once per zygote, before the interpreter, because installing it per Instance costs 60 µs each. It
//! therefore leaves `mount`, `unshare` and `setns`, which the shim needs after a fork; there they are bare of effect once
//! the Instance has dropped its capabilities, as long as no new user namespace can be made, which is denied here.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Refused whatever the arguments.
const DENIED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_open_by_handle_at,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    libc::SYS_umount2,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Installs the filter on this thread and all it will start. Needs no_new_privs.
pub(crate) fn install() -> io::Result<()> {
    // clone3 passes its flags in memory, where a filter cannot look; ENOSYS makes C libraries fall back to clone.
    apply(&[(libc::SYS_clone3, vec![])], libc::ENOSYS)?;
    let mut rules: Vec<(i64, Vec<SeccompRule>)> = DENIED.iter().map(|number| (*number, vec![])).collect();
    // A function can pass us a socket, and closing the last reference to one that lingers waits for its peer: it would hold
    // a thread of ours far beyond any deadline. The option is left out, not refused, since programs expect to set it.
    let option = |number: u8, value: libc::c_int| {
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(number, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
            .map_err(io::Error::other)
    };
    let linger = vec![option(1, libc::SOL_SOCKET)?, option(2, libc::SO_LINGER)?];
    let linger = SeccompRule::new(linger).map_err(io::Error::other)?;
    apply(&[(libc::SYS_setsockopt, vec![linger])], 0)?;
    let new_user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    for number in [libc::SYS_clone, libc::SYS_unshare] {
        rules.push((number, vec![flag_set(new_user)?]));
    }
    apply(&rules, libc::EPERM)
}

/// Matches when the first argument has that flag.
fn flag_set(flag: u64) -> io::Result<SeccompRule> {
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag);
    condition.and_then(|condition| SeccompRule::new(vec![condition])).map_err(io::Error::other)
}

fn apply(rules: &[(i64, Vec<SeccompRule>)], errno: i32) -> io::Result<()> {
    let rules: BTreeMap<i64, Vec<SeccompRule>> = rules.iter().cloned().collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let refuse = SeccompAction::Errno(errno.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)
}
