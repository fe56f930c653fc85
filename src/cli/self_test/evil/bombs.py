"""Too much of everything. Where nothing is known to hold it, an attempt asks for little more than it should get."""
import errno
import os
import sys
import threading
import time

from tools import LIFE_S, call, first_of, rename

MB = 1 << 20


def temporary():
    return os.environ.get("TMPDIR", "/tmp")


def fork_bomb(event):
    """A function's processes are counted where it has a user of its own or a namespace."""
    started, bound = 0, event["bound"]
    try:
        while started < bound:
            if os.fork() == 0:
                rename(event["mark"])
                time.sleep(LIFE_S)
                os._exit(0)
            started += 1
    except OSError:
        time.sleep(LIFE_S)
    time.sleep(1)
    return "%d processes" % started


def thread_bomb(event):
    stop = threading.Event()
    started = 0
    try:
        for started in range(4000):
            threading.Thread(target=stop.wait, daemon=True).start()
    except (RuntimeError, MemoryError):
        pass
    finally:
        stop.set()
    return "%d threads" % started


def memory_bomb(event):
    held = []
    for _ in range(64):
        held.append(bytearray(16 * MB))
        time.sleep(0.01)
    return "%d MB" % (16 * len(held))


def memory_bomb_of_children(event):
    for _ in range(12):
        if os.fork() == 0:
            rename(event["mark"])
            held = bytearray(30 * MB)
            time.sleep(LIFE_S)
            os._exit(len(held) & 1)
    time.sleep(LIFE_S)


def memory_bomb_of_files(event):
    """Memory that belongs to no process: files that have no name."""
    size_mb = 200 if event["level"] >= 4 else 48
    files = [os.memfd_create(event["mark"]) for _ in range(4)]
    for file in files:
        for _ in range(size_mb):
            os.write(file, bytes(MB))
    time.sleep(0.1)
    return "%d MB in nameless files" % (size_mb * len(files))


def fill(folder, limit_mb, name):
    """Writes files until the folder is full or the limit reached."""
    paths, written = [], 0
    try:
        while written < limit_mb:
            if written % 256 == 0:
                paths.append(os.path.join(folder, "%s-%d" % (name, written)))
                file = os.open(paths[-1], os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(file, bytes(MB))
            written += 1
        return "%d MB in %s" % (written, folder)
    finally:
        for path in paths:
            os.unlink(path)


def fill_tmp(event):
    return fill(temporary(), 520, event["mark"])


def fill_shm(event):
    return fill("/dev/shm", 520 if event["level"] >= 3 else 1, event["mark"])


def fill_inodes(event):
    made = 0
    folder = os.path.join(temporary(), event["mark"])
    os.mkdir(folder)
    try:
        for made in range(66000 if event["level"] >= 3 else 5000):
            os.close(os.open("%s/%d" % (folder, made), os.O_WRONLY | os.O_CREAT, 0o600))
        return "%d files" % made
    finally:
        if event["level"] < 3:
            for number in range(made + 1):
                os.unlink("%s/%d" % (folder, number))
            os.rmdir(folder)


def huge_file(event):
    path = os.path.join(temporary(), event["mark"])
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, b"x", 1 << 40)
        return "a file of 1 TB"
    finally:
        os.unlink(path)


def open_descriptors(event):
    opened = []
    try:
        while len(opened) < 1100:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for file in opened:
            os.close(file)
    return "%d descriptors" % len(opened)


def write_all(data, times):
    for _ in range(times):
        left = memoryview(data)
        while left:
            left = left[os.write(1, left):]


def flood_output(event):
    write_all(b"x" * 79 + b"\n", 1)
    write_all((b"x" * 79 + b"\n") * 13107, event["flood_mb"])
    return "wrote %d MB" % event["flood_mb"]


def long_line(event):
    write_all(b"x" * MB, min(100, event["flood_mb"]))
    write_all(b"\n", 1)
    return "wrote a long line"


def line_without_end(event):
    write_all(b"x" * MB, 4)
    return "wrote a line without end"


def empty_lines(event):
    write_all(b"\n" * MB, 4)
    return "wrote 4 million lines"


def large_answer(event):
    return "x" * (7 * MB)


def deep_answer(event):
    answer = []
    for _ in range(100000):
        answer = [answer]
    return answer


def endless_recursion(event):
    sys.setrecursionlimit(1 << 30)
    def down(depth):
        return [down(depth + 1)]
    return down(0)
