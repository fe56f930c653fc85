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

/// Refused where a run has no IPC namespace of its own: what is made with these stays when its maker is gone.
const LASTING: &[i64] = &[libc::SYS_shmget, libc::SYS_semget, libc::SYS_msgget, libc::SYS_mq_open];

/// Calls that change a process, each with what tells that it is another than the caller: one of these lists, all of whose
/// arguments are not the value beside them. A thread's own number is refused as well, as a filter cannot know it; 0 is how
/// a thread names itself.
const CHANGING: &[(i64, &[Unless])] = &[
    (libc::SYS_setpriority, &[&[(0, PRIO_PROCESS)], &[(1, 0)]]),
    (libc::SYS_ioprio_set, &[&[(0, IOPRIO_WHO_PROCESS)], &[(1, 0)]]),
    (libc::SYS_sched_setaffinity, &[&[(0, 0)]]),
    (libc::SYS_sched_setscheduler, &[&[(0, 0)]]),
    (libc::SYS_sched_setparam, &[&[(0, 0)]]),
    (libc::SYS_sched_setattr, &[&[(0, 0)]]),
    (libc::SYS_prlimit64, &[&[(0, 0), (2, 0)]]),
];

/// Arguments and the values that are harmless.
type Unless = &'static [(u8, u64)];

const PRIO_PROCESS: u64 = libc::PRIO_PROCESS as u64;

/// Of linux/ioprio.h.
const IOPRIO_WHO_PROCESS: u64 = 1;

/// Installs the filter on this thread and all it will start. Needs no_new_privs. Without namespaces the code shares IPC and
/// the processes of its user with its other runs, and what would last or reach them is refused, too.
pub(crate) fn install(namespaces: bool) -> io::Result<()> {
    // clone3 passes its flags in memory, where a filter cannot look; ENOSYS makes C libraries fall back to clone.
    apply(&[(libc::SYS_clone3, vec![])], libc::ENOSYS)?;
    let mut rules: Vec<(i64, Vec<SeccompRule>)> = DENIED.iter().map(|number| (*number, vec![])).collect();
    // A function can pass us a socket, and closing the last reference to one that lingers waits for its peer: it would hold
    // a thread of ours far beyond any deadline. The option is left out, not refused, since programs expect to set it.
    let option = |number: u8, value: libc::c_int| {
        condition(number, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(value.cast_unsigned()))
    };
    let linger = rule(vec![option(1, libc::SOL_SOCKET)?, option(2, libc::SO_LINGER)?])?;
    apply(&[(libc::SYS_setsockopt, vec![linger])], 0)?;
    let new_user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    for number in [libc::SYS_clone, libc::SYS_unshare] {
        rules.push((number, vec![flag_set(new_user)?]));
    }
    if !namespaces {
        rules.extend(LASTING.iter().map(|number| (*number, vec![])));
        for (number, others) in CHANGING {
            rules.push((*number, others.iter().map(|other| none_is(other)).collect::<io::Result<_>>()?));
        }
    }
    apply(&rules, libc::EPERM)
}

/// Matches when the first argument has that flag.
fn flag_set(flag: u64) -> io::Result<SeccompRule> {
    rule(vec![condition(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?])
}

/// Matches when no argument has the value beside it.
fn none_is(arguments: &[(u8, u64)]) -> io::Result<SeccompRule> {
    let differs =
        |(number, value): &(u8, u64)| condition(*number, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, *value);
    rule(arguments.iter().map(differs).collect::<io::Result<_>>()?)
}

fn condition(
    number: u8,
    length: SeccompCmpArgLen,
    how: SeccompCmpOp,
    value: u64,
) -> io::Result<SeccompCondition> {
    SeccompCondition::new(number, length, how, value).map_err(io::Error::other)
}

fn rule(conditions: Vec<SeccompCondition>) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions).map_err(io::Error::other)
}

fn apply(rules: &[(i64, Vec<SeccompRule>)], errno: i32) -> io::Result<()> {
    let rules: BTreeMap<i64, Vec<SeccompRule>> = rules.iter().cloned().collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let refuse = SeccompAction::Errno(errno.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)
}
