"""Takes rights away from the program that it then becomes, as hosts and containers do: `become.py RIGHT... -- PROGRAM...`.

Run as root; only what it starts is changed.

  uid=N                 that user and group, no other groups
  no-user-namespaces    as `sysctl user.max_user_namespaces=0`, in a user namespace of its own
  masked-proc           parts of /proc are covered, as container runtimes do; so nobody may mount a fresh one
  docker                the capabilities and the filter that Docker gives by default, as far as they matter here
"""

import ctypes
import os
import platform
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
NEW_NAMESPACES = 0x7E020000  # CLONE_NEW*, but for time, which clone() has no flag for
MS_BIND, MS_RDONLY, MS_REMOUNT, MS_REC, MS_PRIVATE = 0x1000, 1, 0x20, 0x4000, 0x40000
PR_CAPBSET_DROP, PR_SET_SECCOMP, PR_SET_PDEATHSIG, SECCOMP_MODE_FILTER, SIGKILL = 24, 22, 1, 2, 9
EPERM, ENOSYS = 1, 38
# chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot, mknod,
# audit_write, setfcap
DOCKER_CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
CALLS = {
    "x86_64": {"clone": 56, "unshare": 272, "clone3": 435, "mount": 165, "setns": 308, "pivot_root": 155, "open_tree": 428,
               "fsopen": 430, "bpf": 321, "keyctl": 250},
    "aarch64": {"clone": 220, "unshare": 97, "clone3": 435, "mount": 40, "setns": 268, "pivot_root": 41, "open_tree": 428,
                "fsopen": 430, "bpf": 280, "keyctl": 219},
}


def call(name, *arguments):
    result = getattr(libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "%s: %s" % (name, os.strerror(ctypes.get_errno())))
    return result


def enter_user_namespace(ids):
    """A child, which stays outside, writes the maps."""
    told, tell = os.pipe()
    done, do = os.pipe()
    parent = os.getpid()
    if os.fork() == 0:
        os.read(told, 1)
        for name in ("uid_map", "gid_map"):
            with open("/proc/%d/%s" % (parent, name), "w") as file:
                file.write(ids)
        os.write(do, b"x")
        os._exit(0)
    call("unshare", CLONE_NEWUSER)
    os.write(tell, b"x")
    os.read(done, 1)
    os.wait()
    for end in (told, tell, done, do):
        os.close(end)


def deny_user_namespaces():
    """Whoever makes a user namespace may say how many there may be below it."""
    enter_user_namespace("0 0 4294967295")
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")


def unshare_mounts():
    call("unshare", CLONE_NEWNS)
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)


def mask_proc():
    unshare_mounts()
    for path in (b"/proc/kcore", b"/proc/keys", b"/proc/timer_list", b"/proc/sched_debug"):
        if os.path.exists(path):
            call("mount", b"/dev/null", path, None, MS_BIND, None)
    for path in (b"/proc/bus", b"/proc/fs", b"/proc/irq", b"/proc/sys"):
        call("mount", path, path, None, MS_BIND | MS_REC, None)
        call("mount", None, path, None, MS_BIND | MS_REMOUNT | MS_RDONLY, None)


def be_like_docker():
    filter_calls()
    for number in range(41):
        if number not in DOCKER_CAPABILITIES:
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)  # the last ones this kernel need not have


def filter_calls():
    """What needs CAP_SYS_ADMIN is refused to who has not got it; clone3, whose flags no filter sees, is not there."""
    calls = CALLS[platform.machine()]
    load, equal, flags, answer = 0x20, 0x15, 0x45, 0x06
    program = [(load, 0, 0, 0)]
    refused = [name for name in calls if name not in ("clone", "clone3")]
    program += [step for name in refused for step in ((equal, 0, 1, calls[name]), (answer, 0, 0, 0x50000 | EPERM))]
    program += [(equal, 0, 1, calls["clone3"]), (answer, 0, 0, 0x50000 | ENOSYS)]
    program += [(equal, 0, 3, calls["clone"]), (load, 0, 0, 16), (flags, 0, 1, NEW_NAMESPACES), (answer, 0, 0, 0x50000 | EPERM)]
    program += [(answer, 0, 0, 0x7FFF0000)]
    install(program)


def install(program):
    """A filter, from (code, if true, if false, operand)."""
    steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    whole = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(steps)))
    call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, whole, 0, 0)


def become(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def turn_into(program, opened=None):
    """`opened` is the program's file, where its path leads nowhere any more."""
    # A change of user forgets it.
    call("prctl", PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    os.execve(program[0] if opened is None else opened, program, os.environ)


def main():
    end = sys.argv.index("--")
    rights, program = sys.argv[1:end], sys.argv[end + 1:]
    # In this order: the later ones need what the earlier ones leave.
    if "masked-proc" in rights:
        mask_proc()
    if "no-user-namespaces" in rights:
        deny_user_namespaces()
    if "docker" in rights:
        be_like_docker()
    for right in rights:
        if right.startswith("uid="):
            become(int(right[4:]))
    turn_into(program)


if __name__ == "__main__":
    main()
