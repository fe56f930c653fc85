"""What is promised of asynchronous events: one function per measurement, each giving its rows. Every one has a server, and so a
file, of its own: what others left in a queue or a history would be measured with it."""

import contextlib
import re
import subprocess
import time
from statistics import median

from figure import Figure, Row
from fnlite import FUNCTIONS
from process import ENVIRONMENT, memory_kb

# More than any row has waiting at once.
QUEUE_EVENTS = 2_000_000
# What a server has waiting by default at most, and what is promised with so many.
EVENTS = 100_000


def accepts(bench):
    runs = []
    for number in range(bench.rounds):
        with off(bench, f"accepts-{number}.db") as server:
            runs.append(server.events("hello", seconds=bench.seconds(10)))
    yield Row("events kept, 64 connections, none run", [
        Figure("", median(run["accepted_per_s"] for run in runs), "/s", at_least=10_000),
        Figure("p50", median(run["p50_ms"] for run in runs), "ms"),
        Figure("p99", median(run["p99_ms"] for run in runs), "ms", at_most=20),
        Figure("errors", sum(run["refused"] + run["lost"] for run in runs), at_most=0),
    ], runs)


def executed(bench):
    count = EVENTS // 10 if bench.quick else EVENTS
    with on(bench, "executed.db") as server:
        run = server.events("hello", count=count, wait="20m")
        peak_mb = memory_kb(server.pid, "status", "VmHWM") / 1024
    yield Row(f"{count:,} events, kept and run", [
        Figure("", run["executed_per_s"], "/s", at_least=800),
        Figure("server RSS at the most", peak_mb, "MB", at_most=100),
        Figure("errors", run["refused"] + run["lost"] + run["retried"] + run["given_up"], at_most=0),
    ], {**run, "peak_mb": peak_mb})


def mixed(bench):
    with on(bench, "mixed.db") as server:
        run = server.events("hello", seconds=bench.seconds(30), rate=500, wait="5m")
    # What is run ends after what is accepted, so its rate over all of the time is a little less.
    yield Row("events, paced 500/s, kept while others run", [
        Figure("kept", run["accepted_per_s"], "/s", at_least=495),
        Figure("run", run["executed_per_s"], "/s", at_least=475),
        Figure("p50", run["p50_ms"], "ms"),
        Figure("p99", run["p99_ms"], "ms"),
        Figure("errors", run["refused"] + run["lost"] + run["retried"] + run["given_up"], at_most=0),
    ], run)


def recovery(bench):
    count = EVENTS // 10 if bench.quick else EVENTS
    server = server_of(bench, "recovery.db")
    with switched_off(server):
        server.events("hello", count=count)
        server.kill()
    starts = [start_after_kill_ms(server, count) for _ in range(bench.rounds)]
    yield Row(f"start to ready with {count:,} events waiting, after kill -9", [
        Figure("at the most", max(starts), "ms", at_most=1000),
    ], {"starts_ms": starts})


def start_after_kill_ms(server, count):
    """From exec to the line that says it is ready; the server is killed again."""
    with subprocess.Popen(server.command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as started:
        try:
            began = time.perf_counter()
            said = started.stdout.readline().decode()
            took_ms = (time.perf_counter() - began) * 1000
            waiting = server.waiting(re.search(r"http://\S+", said).group())
        finally:
            started.kill()
    if waiting != count:
        raise RuntimeError(f"{waiting} events wait, not {count}")
    return took_ms


def server_of(bench, name):
    return bench.server(name, "--queue-events", QUEUE_EVENTS)


@contextlib.contextmanager
def switched_off(server):
    """The server with hello deployed and switched off: its events wait."""
    with server:
        server.deploy("hello", FUNCTIONS / "hello", 128, "--reserved", 0)
        yield server


def off(bench, name):
    return switched_off(server_of(bench, name))


@contextlib.contextmanager
def on(bench, name):
    """A server with hello deployed and warm."""
    with server_of(bench, name) as server:
        server.function("hello")
        yield server
