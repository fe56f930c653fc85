"""Places beyond the process."""

import fcntl
import os
import shutil
import signal
import socket
import struct
import tempfile
import time
import zlib

from own import kept
from places import ARM, Place, call, tried

ADD_KEY, KEYCTL = (217, 219) if ARM else (248, 250)
KEY_SEARCH, KEY_REVOKE, KEY_OF_USER = 10, 3, -4
IPC_CREATE, IPC_REMOVE = 0o1000, 0


def file_in(folder):
    """A file, and a folder with one in it that cannot be entered."""
    def look(mark):
        return sorted(name for name in os.listdir(folder()) if mark in name)

    def leave(mark):
        inner = os.path.join(folder(), mark + ".d")
        os.makedirs(os.path.join(inner, "inner"))
        for path in (os.path.join(folder(), mark), os.path.join(inner, "inner", "file")):
            with open(path, "w") as file:
                file.write("here\n")
        os.chmod(inner, 0)

    def clear(mark):
        os.chmod(os.path.join(folder(), mark + ".d"), 0o700)
        shutil.rmtree(os.path.join(folder(), mark + ".d"))
        os.unlink(os.path.join(folder(), mark))

    return Place(lambda mark: tried(os.listdir, folder()) and look(mark), leave, clear)


def number_of(mark):
    return zlib.crc32(mark.encode()) & 0x7FFFFFFF


def system_v(get, size, control, remove):
    """A segment, a semaphore or a queue: `size` is what stands between its key and its flags, `remove` between its number
    and the order."""
    def look(mark):
        return tried(lambda: call(get, number_of(mark), *size, 0))

    def leave(mark):
        call(get, number_of(mark), *size, IPC_CREATE | 0o600)

    return Place(look, leave, lambda mark: call(control, call(get, number_of(mark), *size, 0), *remove, IPC_REMOVE, None))


def opened(opening, unlink):
    """What the C library opens by a name."""
    def look(mark):
        return tried(lambda: os.close(call(opening, ("/" + mark).encode(), os.O_RDONLY, 0, None)))

    def leave(mark):
        kept.append(call(opening, ("/" + mark).encode(), os.O_RDWR | os.O_CREAT, 0o600, None))

    return Place(look, leave, lambda mark: call(unlink, ("/" + mark).encode()))


def connect(mark):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + mark)


def listen(mark):
    kept.append(socket.socket(socket.AF_UNIX))
    kept[-1].bind("\0" + mark)
    kept[-1].listen()


def key_search(mark):
    return call("syscall", KEYCTL, KEY_SEARCH, KEY_OF_USER, b"user", mark.encode(), 0)


def key_add(mark):
    call("syscall", ADD_KEY, b"user", mark.encode(), b"trace", 5, KEY_OF_USER)


def key_revoke(mark):
    call("syscall", KEYCTL, KEY_REVOKE, key_search(mark))


def is_locked(mark):
    """By others, in either of the two ways."""
    with open(__file__) as file:
        whole = not tried(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return whole or struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK


def lock(mark):
    kept.append(open(__file__))
    fcntl.flock(kept[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(kept[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)


def look_for_processes(mark):
    """Others by that name."""
    pids = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
    return sum(name_of(pid) == mark for pid in pids)


def name_of(pid):
    try:
        return open("/proc/%s/comm" % pid).read().strip()
    except OSError:
        return ""


def leave_process(mark):
    """In a session of its own, deaf to what asks it to end; it has the name of its parent."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(600)
        os._exit(0)
    os.wait()


PLACES = {
    "/tmp": file_in(lambda: "/tmp"),
    "temporary folder": file_in(tempfile.gettempdir),
    "/dev/shm": file_in(lambda: "/dev/shm"),
    "/var/tmp": file_in(lambda: "/var/tmp"),
    "code": file_in(lambda: os.path.dirname(__file__)),
    "shared memory of System V": system_v("shmget", (4096,), "shmctl", ()),
    "semaphores of System V": system_v("semget", (1,), "semctl", (0,)),
    "messages of System V": system_v("msgget", (), "msgctl", ()),
    "shared memory of POSIX": opened("shm_open", "shm_unlink"),
    "messages of POSIX": opened("mq_open", "mq_unlink"),
    "abstract socket": Place(lambda mark: tried(connect, mark), listen),
    "keyring": Place(lambda mark: tried(key_search, mark), key_add, key_revoke),
    "locks": Place(is_locked, lock),
    "processes": Place(look_for_processes, leave_process),
    "host name": Place(lambda mark: os.uname().nodename, lambda mark: call("sethostname", mark.encode(), len(mark))),
}
