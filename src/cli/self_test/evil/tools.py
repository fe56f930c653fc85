"""What the attempts share: raw system calls, and the words in which an attempt says how it went.

An attempt is a function of the event. It returns a text (that is what it got), or nothing (it got nothing), or lets the
refusal through as an OSError. It must do no lasting harm where nothing holds it: what it starts ends by itself, what it
writes goes to files made for it, and calls that would stop or change the host are made in a form that can only be refused.
"""
import ctypes
import errno
import os
import signal
import time

LIFE_S = 12  # how long a process that is to stay stays at most, if nothing ends it

# Numbers on x86_64 and on everybody who uses the kernel's generic table.
NUMBERS = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "capset": (126, 91), "chroot": (161, 51),
    "clone": (56, 220), "clone3": (435, 435), "delete_module": (176, 106), "finit_module": (313, 273),
    "fsopen": (430, 430), "gettimeofday": (96, 169), "init_module": (175, 105), "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30), "kcmp": (312, 272), "kexec_load": (246, 104), "keyctl": (250, 219),
    "memfd_create": (319, 279), "mount": (165, 40), "mount_setattr": (442, 442), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241), "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434), "pivot_root": (155, 41), "prctl": (157, 167), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60), "reboot": (169, 142),
    "request_key": (249, 218), "sethostname": (170, 161), "setns": (308, 268), "settimeofday": (164, 170),
    "shmat": (30, 196), "shmctl": (31, 195), "shmget": (29, 194), "swapon": (167, 224), "syslog": (103, 116),
    "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282),
}
IS_X86_64 = os.uname().machine == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(name, *arguments):
    """That system call's result, past the C library; a refusal as OSError."""
    number = NUMBERS[name][0 if IS_X86_64 else 1] if isinstance(name, str) else name
    plain = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = libc.syscall(ctypes.c_long(number), *plain)
    if result < 0:
        refusal = ctypes.get_errno()
        raise OSError(refusal, os.strerror(refusal), str(name))
    return result


def first_of(*ways):
    """What the first way that leads anywhere gets; if none does, all refusals in one."""
    refusals = []
    for way in ways:
        try:
            got = way()
        except OSError as refusal:
            refusals.append(refusal.errno)
            continue
        if got:
            return got
    if refusals:
        names = sorted({errno.errorcode.get(number, str(number)) for number in refusals})
        raise OSError(refusals[-1], ", ".join(names))
    return None


def got_by(name, *arguments, right=()):
    """A way for `first_of`: that system call. The errors in `right` come only to those who may, so they count as got."""
    def way():
        try:
            return "%s gave %d" % (name, call(name, *arguments))
        except OSError as refusal:
            if refusal.errno in right:
                return "%s was refused only for its arguments" % name
            raise
    return way


def read(path, length=1 << 20):
    with open(path, "rb", buffering=0) as file:
        return file.read(length).decode("latin-1")


def reading(path):
    """A way: the text of that file."""
    return lambda: read(path)


def writing(path):
    """A way: opens for writing what is there, without writing."""
    def way():
        os.close(os.open(path, os.O_WRONLY))
        return "%s is open for writing" % path
    return way


def making(folder, name):
    """A way: makes a file in that folder, and takes it away again."""
    def way():
        path = os.path.join(folder, name)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(path)
        return "made %s" % path
    return way


def pids():
    """Numbers of the processes that /proc shows, less this one."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    except OSError:
        return []


def others(event):
    """Processes to attack: the parent, the server, the first, and all that /proc shows."""
    numbers = [os.getppid(), event["server_pid"], 1] + pids()
    return [pid for pid in dict.fromkeys(numbers) if pid > 0 and pid != os.getpid()]


def rename(mark):
    """Gives this process the name by which it is looked for from outside."""
    call("prctl", 15, ctypes.c_char_p(mark.encode()), 0, 0, 0)


def stay(event):
    """Starts a process that does everything not to end with this one; returns once it is there."""
    ready, tell = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
            call("prctl", 1, 0, 0, 0, 0)  # not to die with its parent
            rename(event["mark"])
            os.write(tell, b".")
            time.sleep(LIFE_S)
        os._exit(0)
    os.wait()
    os.read(ready, 1)
    os.close(ready)
    os.close(tell)


def in_child(work):
    """What `work` returns in a child process, or how that child ended."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = work() or ""
        except OSError as refusal:
            said = "!%d" % refusal.errno
        os.write(tell, said.encode()[:4000])
        os._exit(0)
    os.close(tell)
    said = os.read(ready, 4096).decode()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise OSError(errno.EPERM, "killed by signal %d" % os.WTERMSIG(status))
    if said.startswith("!"):
        raise OSError(int(said[1:]), os.strerror(int(said[1:])))
    return said
