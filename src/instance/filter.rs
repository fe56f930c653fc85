//! The system-call filter of everything that runs user code: a deny-list of what no function needs and what has been a way
//! out of sandboxes.
//!
//! It is installed once per zygote, before the interpreter, because installing it per Instance costs 60 µs each. It
//! therefore leaves `mount`, `unshare` and `setns`, which cells are made and entered with; there they are bare of effect once
//! the Instance has dropped its capabilities, as long as no new user namespace can be made, which is denied here.
//!
//! A list of numbers holds for one ABI only. Calls of another machine (i386 by `int 0x80`) end the process: the first thing
//! each program of seccompiler looks at. x32 counts as the same machine and is refused by a program of our own.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
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

/// Calls that change a process, and the arguments that tell which, each with its only value that means the caller. A
/// thread's own number is refused as well, as a filter cannot know it; 0 is how a thread names itself.
const CHANGING: &[(i64, &[(u8, libc::c_int)])] = &[
    (libc::SYS_setpriority, &[(0, PRIO_PROCESS), (1, 0)]),
    (libc::SYS_ioprio_set, &[(0, IOPRIO_WHO_PROCESS), (1, 0)]),
    (libc::SYS_sched_setaffinity, &[(0, 0)]),
    (libc::SYS_sched_setscheduler, &[(0, 0)]),
    (libc::SYS_sched_setparam, &[(0, 0)]),
    (libc::SYS_sched_setattr, &[(0, 0)]),
];

/// Of sys/resource.h.
const PRIO_PROCESS: libc::c_int = 0;

/// Of linux/ioprio.h.
const IOPRIO_WHO_PROCESS: libc::c_int = 1;

/// Families of sockets a function may make: local ones, the internet's, and netlink, which tells programs of addresses.
/// The rest is code that few use and many faults were found in, and with vsock a way to the hypervisor.
const FAMILIES: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Marks a number of the x32 ABI (`__X32_SYSCALL_BIT`). No other ABI of ours has numbers as large.
const X32_BIT: u32 = 0x4000_0000;

/// Installs the filter on this thread and all it will start. Needs no_new_privs. Without namespaces the code shares IPC and
/// the processes of its user with its other runs, and what would last or reach them is refused, too.
/// Where `asks`, the courier of a Go program reads what that program asks it for; it denies the program the same itself.
pub(crate) fn install(namespaces: bool, asks: bool) -> io::Result<()> {
    seccompiler::apply_filter(&refuse_x32()).map_err(io::Error::other)?;
    // clone3 passes its flags in memory, where a filter cannot look; ENOSYS makes C libraries fall back to clone.
    apply(&[(libc::SYS_clone3, vec![])], libc::ENOSYS)?;
    let denied = DENIED.iter().filter(|number| !(asks && **number == libc::SYS_process_vm_readv));
    let mut rules: Vec<(i64, Vec<SeccompRule>)> = denied.map(|number| (*number, vec![])).collect();
    // A function can pass us a socket, and closing the last reference to one that lingers waits for its peer: it would hold
    // a thread of ours far beyond any deadline. The option is left out, not refused, since programs expect to set it.
    let linger = rule([(1, SeccompCmpOp::Eq, libc::SOL_SOCKET), (2, SeccompCmpOp::Eq, libc::SO_LINGER)])?;
    apply(&[(libc::SYS_setsockopt, vec![linger])], 0)?;
    let family = || FAMILIES.iter().map(|family| (0, SeccompCmpOp::Ne, *family));
    let sockets = [(libc::SYS_socket, vec![rule(family())?]), (libc::SYS_socketpair, vec![rule(family())?])];
    apply(&sockets, libc::EAFNOSUPPORT)?;
    // Beyond its own: where it has no user of its own, the server's limits would be anybody's to lower.
    rules.push((libc::SYS_prlimit64, vec![rule([(0, SeccompCmpOp::Ne, 0)])?]));
    let new_user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    for number in [libc::SYS_clone, libc::SYS_unshare] {
        rules.push((number, vec![flag_set(new_user)?]));
    }
    if !namespaces {
        rules.extend(LASTING.iter().map(|number| (*number, vec![])));
        for (number, arguments) in CHANGING {
            let other = |(argument, own): &(u8, _)| rule([(*argument, SeccompCmpOp::Ne, *own)]);
            rules.push((*number, arguments.iter().map(other).collect::<io::Result<_>>()?));
        }
    }
    apply(&rules, libc::EPERM)
}

/// Matches when all of these hold of the arguments' lower halves: number of the argument, comparison, value.
fn rule(conditions: impl IntoIterator<Item = (u8, SeccompCmpOp, libc::c_int)>) -> io::Result<SeccompRule> {
    let conditions = conditions.into_iter().map(|(number, operation, value)| {
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(number, SeccompCmpArgLen::Dword, operation, value)
    });
    let conditions = conditions.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    SeccompRule::new(conditions).map_err(io::Error::other)
}

/// A program that answers calls of the x32 ABI as a kernel without it would.
fn refuse_x32() -> BpfProgram {
    let (load, compare, end) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K,
        libc::BPF_RET | libc::BPF_K,
    );
    let instruction =
        |code: u32, jt, jf, k| sock_filter { code: u16::try_from(code).expect("codes are small"), jt, jf, k };
    let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    vec![
        // The number is the first field of struct seccomp_data.
        instruction(load, 0, 0, 0),
        instruction(compare, 0, 1, X32_BIT),
        instruction(end, 0, 0, refused),
        instruction(end, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
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
