"""What one run leaves for the next. Called twice: the second time, `again`, it looks for what the first left."""
import builtins
import fcntl
import os
import socket

from tools import call, read, rename, stay

KEY = 0x666E6C65


def write_file(path, event):
    if event["again"]:
        return read(path)
    with open(path, "x") as file:
        file.write(event["mark"])
    return "left %s" % path


def leave_in_tmp(event):
    return write_file(os.path.join(os.environ.get("TMPDIR", "/tmp"), event["mark"]), event)


def leave_in_shm(event):
    path = "/dev/shm/" + event["mark"]
    try:
        return write_file(path, event)
    finally:
        if event["again"] and os.path.exists(path):
            os.unlink(path)


def leave_in_sysv_memory(event):
    create = 0 if event["again"] else 0o1000
    segment = call("shmget", KEY, 4096, create | 0o600)
    if event["again"]:
        call("shmctl", segment, 0, 0)
    return "segment %d" % segment


def leave_a_lock(event):
    """Locks the file of its own code; a child that stays keeps it locked."""
    file = os.open(__file__, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "it is still locked" if event["again"] else None
    if event["again"]:
        return None
    rename(event["mark"])
    stay(event)
    return "locked it"


def leave_an_abstract_socket(event):
    name = "\0" + event["mark"]
    listener = socket.socket(socket.AF_UNIX)
    if event["again"]:
        listener.connect(name)
        return "somebody listens"
    listener.bind(name)
    listener.listen()
    rename(event["mark"])
    stay(event)
    return "left a listener"


def leave_in_globals(event):
    global left
    if event["again"]:
        return globals().get("left")
    left = event["mark"]
    return "left a global"


def leave_changed_code(event):
    """Changes what the interpreter itself does; the next run would be done for by it."""
    if event["again"]:
        return getattr(builtins, "fnlite_evil", None)
    builtins.fnlite_evil = "it is still changed"
    builtins.len = None
    return "changed the interpreter"
