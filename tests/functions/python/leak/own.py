"""Places within the process."""

import builtins
import ctypes
import decimal
import gc
import locale
import os
import random
import resource
import signal
import sys
import threading
import time

from places import ARM, Place, libc, prctl

traces = []
IOPRIO_SET, IOPRIO_GET = (30, 31) if ARM else (251, 252)
PR_NAME, PR_SLACK, PR_SUBREAPER, PR_THP, PR_DUMPABLE = (15, 16), (29, 30), (36, 37), (41, 42), (4, 3)
LIMITS = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
kept = []  # what would be closed with its last name


def look_at_globals(mark):
    return [list(traces), hasattr(builtins, "trace"), "trace" in sys.modules, "/trace" in sys.path]


def leave_globals(mark):
    traces.append(mark)
    builtins.trace = sys.modules["trace"] = mark
    sys.path.append("/trace")


def look_at_interpreter(mark):
    return [sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(), decimal.getcontext().prec, list(time.tzname),
            sys.stdout.encoding]


def leave_interpreter(mark):
    sys.setrecursionlimit(3000)
    sys.setswitchinterval(0.5)
    gc.disable()
    decimal.getcontext().prec = 3
    os.environ["TZ"] = "XYZ-3"
    time.tzset()
    random.seed(4)


def look_at_environment(mark):
    """All of it but where a run's own temporary folder is."""
    return {name: value for name, value in os.environ.items() if name != "TMPDIR"}


def look_at_umask(mark):
    now = os.umask(0)
    os.umask(now)
    return now


def look_at_signals(mark):
    return {int(number): repr(signal.getsignal(number)) for number in signal.valid_signals()}


def leave_signals(mark):
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def look_at_limits(mark):
    return {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS}


def leave_limits(mark):
    for name, value in (("NOFILE", 64), ("FSIZE", 1 << 20), ("MEMLOCK", 0), ("STACK", 1 << 20)):
        resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))


def look_at_descriptors(mark):
    return [number for number in range(1024) if is_open(number)]


def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def leave_descriptors(mark):
    os.dup2(os.open("/dev/null", os.O_RDWR), 777)
    os.pipe()
    os.memfd_create(mark)


def look_at_name(mark):
    name = ctypes.create_string_buffer(16)
    libc.prctl(PR_NAME[1], name)
    return name.value.decode()


def leave_name(mark):
    libc.prctl(PR_NAME[0], mark.encode())


def look_at_flags(mark):
    subreaper = ctypes.c_int()
    libc.prctl(PR_SUBREAPER[1], ctypes.byref(subreaper))
    return [prctl(PR_SLACK[1]), subreaper.value, prctl(PR_THP[1]), prctl(PR_DUMPABLE[1]), libc.personality(-1)]


def leave_flags(mark):
    prctl(PR_SLACK[0], 1000)
    prctl(PR_SUBREAPER[0], 1)
    prctl(PR_THP[0], 1)
    prctl(PR_DUMPABLE[0], 0)
    libc.personality(0x0040000)  # ADDR_NO_RANDOMIZE


def look_at_rank(mark):
    return [os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0)), os.sched_getscheduler(0),
            libc.syscall(IOPRIO_GET, 1, 0)]


def leave_rank(mark):
    """Its own, then that of every process of its user."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    libc.syscall(IOPRIO_SET, 1, 0, 3 << 13)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, 0, 5)
    os.setpriority(os.PRIO_USER, 0, 7)


def look_at_out_of_memory_score(mark):
    try:
        return open("/proc/self/oom_score_adj").read()
    except OSError:
        return None


def leave_out_of_memory_score(mark):
    try:
        open("/proc/self/oom_score_adj", "w").write("500")
    except PermissionError:
        open("/proc/self/oom_score_adj", "w").write("1000")


PLACES = {
    "name": Place(look_at_name, leave_name),  # first: it goes on to what is started
    "globals": Place(look_at_globals, leave_globals),
    "interpreter": Place(look_at_interpreter, leave_interpreter),
    "environment": Place(look_at_environment, lambda mark: os.environ.update(TRACE=mark)),
    "folder": Place(lambda mark: os.getcwd(), lambda mark: os.chdir("/usr")),
    "umask": Place(look_at_umask, lambda mark: os.umask(0o123)),
    "signals": Place(look_at_signals, leave_signals),
    "mask": Place(lambda mark: sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
                  lambda mark: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGTERM])),
    "timers": Place(lambda mark: [signal.getitimer(which)[0] > 0 for which in range(3)],
                    lambda mark: [signal.setitimer(which, 3600) for which in range(3)]),
    "locale": Place(lambda mark: locale.setlocale(locale.LC_ALL), lambda mark: locale.setlocale(locale.LC_ALL, "C")),
    "descriptors": Place(look_at_descriptors, leave_descriptors),
    "rank": Place(look_at_rank, leave_rank),
    "threads": Place(lambda mark: threading.active_count(),
                     lambda mark: threading.Thread(target=time.sleep, args=(600,), daemon=True).start()),
    "out-of-memory score": Place(look_at_out_of_memory_score, leave_out_of_memory_score),
}

# After all others: they would be in the way.
LAST = {
    "flags": Place(look_at_flags, leave_flags),
    "limits": Place(look_at_limits, leave_limits),
}
