"""Our queue of events beside huey with its SQLite storage, fsync on, on the same disk: how fast they keep orders, and how fast
they do them. Each is measured as it is best: of some numbers of processes and kinds of workers the best of a short try is
taken. Huey's producers call it in their own process; ours send HTTP."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from statistics import median

from events import off, on
from figure import Figure, Row
from fnlite import FUNCTIONS
from peers import HERE, VENV, Missing
from process import ENVIRONMENT, Process

# As ours are looked at.
LOOK_EVERY_S = 0.02
PRODUCERS = (1, 2, 4, 8)
WORKERS = (("thread", 1), ("thread", 4), ("process", 1), ("process", 2), ("process", 4))
OF_THEIR_ENQUEUE_RATE_AT_LEAST = 1.5


def huey(bench):
    try:
        folder = prepare(bench.folder / "huey")
    except Missing as missing:
        yield Row.missing("times as many kept as huey enqueues", missing, unit="×",
                          at_least=OF_THEIR_ENQUEUE_RATE_AT_LEAST)
        return
    yield kept(bench, folder)
    yield done(bench, folder)


def prepare(folder):
    if not (VENV / "huey_consumer").exists():
        raise Missing("huey is not installed")
    folder.mkdir()
    for script in (HERE / "tasks.py", HERE / "enqueue.py", FUNCTIONS / "hello/index.py"):
        shutil.copy(script, folder)
    return folder


def kept(bench, folder):
    best, tries = best_of(PRODUCERS, lambda number: enqueue(folder, number, bench.seconds(5))["rate_per_s"])
    ours, theirs = [], []
    for number in range(bench.rounds):
        theirs.append(enqueue(folder, best, bench.seconds(10)))
        with off(bench, f"beside-huey-{number}.db") as server:
            ours.append(server.events("hello", seconds=bench.seconds(10)))
    ratio = median(our["accepted_per_s"] / their["rate_per_s"] for our, their in zip(ours, theirs))
    return Row(f"times as many kept as huey enqueues ({best} processes)", [
        Figure("", ratio, "×", at_least=OF_THEIR_ENQUEUE_RATE_AT_LEAST),
        Figure("ours", median(our["accepted_per_s"] for our in ours), "/s"),
        Figure("theirs", median(their["rate_per_s"] for their in theirs), "/s"),
        *errors(sum(their["failed"] for their in theirs)),
    ], {"ours": ours, "theirs": theirs, "tries": tries})


def done(bench, folder):
    count = 400 if bench.quick else 4000
    best, tries = best_of(WORKERS, lambda workers: consume(folder, *workers, count // 2))
    ours, theirs = [], []
    for number in range(bench.rounds):
        theirs.append(consume(folder, *best, count))
        with on(bench, f"done-beside-huey-{number}.db") as server:
            ours.append(server.events("hello", count=count, wait="5m"))
    ratio = median(our["executed_per_s"] / their for our, their in zip(ours, theirs))
    return Row(f"times as many run as huey does ({best[1]} of {best[0]})", [
        Figure("", ratio, "×"),
        Figure("ours, a process each,", median(our["executed_per_s"] for our in ours), "/s"),
        Figure("theirs, in workers that stay,", median(theirs), "/s"),
    ], {"ours": ours, "theirs": theirs, "tries": {f"{number} {kind}": rates for (kind, number), rates in tries.items()}})


def best_of(ways, rate):
    """The way with the highest rate of two tries, which all ways get in turns; and all rates."""
    tries = [{way: rate(way) for way in ways} for _ in range(2)]
    rates = {way: [one[way] for one in tries] for way in ways}
    return max(rates, key=lambda way: max(rates[way])), rates


def errors(number):
    return [Figure("their errors", number)] if number else []


def enqueue(folder, processes, seconds, count=None, db=None):
    """What huey's producers did, on a new file unless one is given."""
    db = db or new_file(folder)
    command = [VENV / "python", folder / "enqueue.py", processes, seconds, *([count] if count else [])]
    ran = subprocess.run([str(word) for word in command], env=environment(db), cwd=folder, check=True, capture_output=True,
                         text=True, timeout=seconds + 90)
    return json.loads(ran.stdout)


def consume(folder, kind, number, count):
    """Tasks done per second, from the first one seen done to the last."""
    db = new_file(folder)
    enqueue(folder, 2, 60, count, db)
    with Consumer(folder, db, kind, number) as consumer, contextlib.closing(sqlite3.connect(db, timeout=30)) as look:
        def results():
            return look.execute("SELECT count(*) FROM kv").fetchone()[0]

        first = consumer.wait_for(results, 30, LOOK_EVERY_S)
        began = time.perf_counter()
        consumer.wait_for(lambda: results() >= count, 120, LOOK_EVERY_S)
        return (count - first) / (time.perf_counter() - began)


class Consumer(Process):
    """huey's consumer with so many workers of a kind."""

    def __init__(self, folder, db, kind, number):
        super().__init__([VENV / "huey_consumer", "tasks.huey", "-w", number, "-k", kind, "-q"], folder / "consumer.log",
                         environment(db), folder)

    def __exit__(self, *failure):
        group = self.popen and self.popen.pid
        super().__exit__(*failure)
        # Its workers are processes that it may have left.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def environment(db):
    return {**ENVIRONMENT, "QUEUE_DB": str(db), "PYTHONPATH": str(db.parent), "PYTHONDONTWRITEBYTECODE": "1"}


def new_file(folder):
    """Of one measurement: those of the ones before are not needed any more."""
    for old in folder.glob("queue.db*"):
        os.remove(old)
    return folder / "queue.db"
