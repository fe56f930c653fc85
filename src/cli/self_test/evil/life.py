"""Staying: processes that should outlive the run, and signals to whoever is in the way."""
import os
import signal
import time

from tools import LIFE_S, first_of, others, rename, stay


def stay_after_return(event):
    stay(event)
    return "started a process"


def stay_after_timeout(event):
    stay(event)
    time.sleep(LIFE_S)


def stay_after_crash(event):
    stay(event)
    os.abort()


def stay_after_exit(event):
    stay(event)
    os._exit(7)


def ignore_deadline(event):
    rename(event["mark"])
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    until = time.monotonic() + LIFE_S
    while time.monotonic() < until:
        pass


def stop_itself(event):
    rename(event["mark"])
    os.kill(os.getpid(), signal.SIGSTOP)


def hold_output(event):
    """A grandchild that keeps both outputs open, so that a reader waits for their end."""
    stay(event)
    os.write(1, b"and nobody closes this\n")
    return "started a process"


def kill_everything(event):
    """Where it has a view of its own it means it; elsewhere it asks only whether it could."""
    if event["level"] >= 3:
        os.kill(-1, signal.SIGKILL)
        return "killed whoever it could"
    def way(pid):
        os.kill(pid, 0)
        return "could have killed %d" % pid
    return first_of(*(lambda pid=pid: way(pid) for pid in others(event) if pid != os.getppid()))


def kill_server(event):
    os.kill(event["server_pid"], 0)
    return "could have killed it"


def kill_supervisor(event):
    """Kills whoever stands above it, so that nobody ends what it leaves."""
    stay(event)
    os.kill(os.getppid() or 1, signal.SIGKILL)
    time.sleep(0.2)
    return "killed it"


def stop_supervisor(event):
    stay(event)
    os.kill(os.getppid() or 1, signal.SIGSTOP)
    return "stopped it"
