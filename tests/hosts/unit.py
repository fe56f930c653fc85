"""Starts a program as systemd would under scripts/fnlite.service: `unit.py uid=N -- PROGRAM...`, in the working directory,
which is what StateDirectory and RuntimeDirectory are to the unit. `uid=0` adds scripts/fnlite-root.conf.

Run as root; only what it starts is changed. Made here: DynamicUser, PrivateUsers, CapabilityBoundingSet, NoNewPrivileges,
ProtectSystem, ProtectHome, PrivateTmp, PrivateMounts, PrivateDevices, BindPaths, LockPersonality, SystemCallFilter and
SystemCallErrorNumber as they stand in the file, LimitNOFILE, UMask. Not made: Delegate, DevicePolicy, and the filters of
RestrictAddressFamilies, RestrictRealtime and RestrictSUIDSGID.
"""

import ctypes
import os
import platform
import re
import resource
import struct
import subprocess
import sys
from pathlib import Path

from become import EPERM, become, call, enter_user_namespace, install, libc, turn_into, unshare_mounts

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
PERSONALITY = {"x86_64": 135, "aarch64": 92}[platform.machine()]
AT_FDCWD, AT_RECURSIVE, OPEN_TREE_CLONE, EMPTY_PATH, READ_ONLY = -100, 0x8000, 1, 4, 1
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT
    SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()


def settings(*files):
    """The files' words, by name."""
    lines = [line for file in files for line in (SCRIPTS / file).read_text().splitlines()]
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def limit_capabilities(kept):
    for number, name in enumerate(CAPABILITIES):
        if "CAP_" + name not in kept:
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)  # the last ones this kernel need not have


def cloned(path):
    return call("syscall", OPEN_TREE, AT_FDCWD, str(path).encode(), OPEN_TREE_CLONE | AT_RECURSIVE)


def put(tree, path):
    call("syscall", MOVE_MOUNT, tree, b"", AT_FDCWD, str(path).encode(), EMPTY_PATH)


def set_read_only(path, wanted):
    attributes = struct.pack("QQQQ", *((READ_ONLY, 0) if wanted else (0, READ_ONLY)), 0, 0)
    call("syscall", MOUNT_SETATTR, AT_FDCWD, path, AT_RECURSIVE, attributes, len(attributes))


def protect_system(shown):
    """Read-only but for the interfaces of the kernel and this folder; no homes, an empty /tmp and the devices all have, with
    the one that is shown."""
    unshare_mounts()
    here = Path.cwd()
    state = cloned(here)
    names = ["/dev/" + name for name in ("null", "zero", "full", "random", "urandom", "tty")]
    devices = {name: cloned(name) for name in [*names, shown] if os.path.exists(name)}
    set_read_only(b"/", True)
    for path in (b"/proc", b"/sys"):
        set_read_only(path, False)
    for path in (b"/tmp", b"/var/tmp", b"/dev", b"/home", b"/root"):
        if os.path.isdir(path):
            call("mount", b"tmpfs", path, b"tmpfs", 2, b"mode=1777" if b"tmp" in path else b"mode=755")
    for name, tree in devices.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
        put(tree, name)
    os.mkdir("/dev/shm")
    call("mount", b"tmpfs", b"/dev/shm", b"tmpfs", 2, b"mode=1777")
    here.mkdir(parents=True, exist_ok=True)
    put(state, here)
    os.chdir(here)


def filter_calls(groups):
    """What the groups of `systemd-analyze syscall-filter` hold, and personality but for asking."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter", *groups], check=True, capture_output=True, text=True).stdout
    names = set(re.findall(r"^ +([a-z]\w+)$", listed, re.M))
    numbers = {PERSONALITY} | {number for name, number in all_calls().items() if name in names}
    program = [(0x20, 0, 0, 0)]
    for number in sorted(numbers):
        program += [(0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | EPERM)]
    install(program + [(0x06, 0, 0, 0x7FFF0000)])


def all_calls():
    """Numbers by name, from the C library's headers."""
    names = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h")
    header = Path(names[platform.machine() == "aarch64"]).read_text()
    return {name: int(number) for name, number in re.findall(r"#define __NR3?_?(\w+)\s+(\d+)", header)}


def main():
    end = sys.argv.index("--")
    program = sys.argv[end + 1:]
    # It may lie where nothing is to be seen soon, as a checkout in a home does.
    opened = os.open(program[0], os.O_RDONLY | os.O_CLOEXEC)
    uid = int(sys.argv[1].removeprefix("uid="))
    found = settings("fnlite.service", *(["fnlite-root.conf"] if uid == 0 else []))
    limit = int(found["LimitNOFILE"])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, hard),) * 2)
    groups = found["SystemCallFilter"].removeprefix("~").split()
    protect_system(found["BindPaths"].removeprefix("-"))
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if found["PrivateUsers"] == "yes":
        enter_user_namespace("0 0 1\n%d %d 1" % (uid, uid))
    limit_capabilities(found["CapabilityBoundingSet"].split())
    become(uid)
    os.umask(int(found["UMask"], 8))
    filter_calls(groups)
    turn_into(program, opened)


if __name__ == "__main__":
    main()
