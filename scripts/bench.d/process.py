"""Processes that are started, waited for and stopped, each by its own pid, and what /proc tells of them."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Not the caller's: what PATH finds first is part of what is measured, and FNLITE_* would change it.
ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}


class Process:
    """A server in a session of its own. Its output goes to `log`."""

    def __init__(self, command, log, environment=ENVIRONMENT, folder=None):
        self.command = [str(word) for word in command]
        self.log = log
        self.environment = environment
        self.folder = folder
        self.popen = None

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env=self.environment, cwd=self.folder, start_new_session=True)
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.popen is None:
            return
        self.popen.terminate()
        try:
            self.popen.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
        self.popen = None

    def kill(self):
        """Ends it as a crash does."""
        self.popen.kill()
        self.popen.wait()
        self.popen = None

    @property
    def pid(self):
        return self.popen.pid

    def wait_until_ready(self):
        """Overridden by each server: returns once it takes requests."""

    def find_in_log(self, pattern):
        """The first group of `pattern`, once the process has said it."""
        return self.wait_for(lambda: re.search(pattern, self.log.read_text(errors="replace"))).group(1)

    def wait_for(self, state, patience_s=20, every_s=0.005):
        """What `state` gives once that is true."""
        end = time.monotonic() + patience_s
        while not (found := state()):
            if self.popen.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.command[0]} did not come that far; it said:\n{self.log.read_text()[-2000:]}")
            time.sleep(every_s)
        return found


def free_port():
    """For a server that cannot take port 0. Somebody else may take it first; then that server says so."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_listening(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def load_average():
    return list(os.getloadavg())


def children(pid):
    """The living ones, oldest first."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return sorted(child for child in found if is_living(child))


def descendants(pid):
    return [below for child in children(pid) for below in [child, *descendants(child)]]


def is_living(pid):
    """Not gone, and not waiting to be reaped."""
    return bool(program(pid))


def program(pid):
    """The file it runs, or nothing."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def memory_kb(pid, file, *fields):
    """The sum of some fields of /proc/PID/status or smaps_rollup."""
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.split(":")[0] in fields)
