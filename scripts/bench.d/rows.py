"""What is promised of fnlite alone: one function per measurement, each giving its rows."""

import subprocess
import time
from statistics import median

from figure import Figure, Row
from fnlite import BINARY, FUNCTIONS
from process import ENVIRONMENT, children, descendants, memory_kb, program

PYTHON = "/usr/bin/python3"
# Connections of a paced load: more than one, so that a slow answer does not hold up those due after it.
PACED_CONNECTIONS = 4


def paced(bench):
    door = bench.fnlite.function("hello")
    runs = [door.load(bench.seconds(10), PACED_CONNECTIONS, rate=200) for _ in range(bench.rounds)]
    yield Row("sync over HTTP keep-alive, paced 200/s", [
        Figure("p50", middle(runs, "p50_ms"), "ms", at_most=0.35),
        Figure("p99", middle(runs, "p99_ms"), "ms", at_most=2),
    ], runs)


def one_connection(bench):
    door = bench.fnlite.function("hello")
    runs = [door.load(bench.seconds(10), 1) for _ in range(bench.rounds)]
    yield Row("sync, 1 connection, closed loop", [
        Figure("", middle(runs, "rate_per_s"), "/s", at_least=700),
        Figure("p50", middle(runs, "p50_ms"), "ms"),
    ], runs)


def eight_connections(bench):
    run = bench.fnlite.function("hello").load(bench.seconds(30), 8)
    yield Row("sync, 8 connections, 30 s", eight(run, at_least=1000, p99_at_most=20), run)


def large_heap(bench):
    run = bench.fnlite.function("heap", memory_mb=256).load(bench.seconds(30), 8)
    yield Row("the same with a 100 MB heap loaded at import", eight(run, at_least=300), run)


def eight(run, at_least, p99_at_most=None):
    return [
        Figure("", run["rate_per_s"], "/s", at_least=at_least),
        Figure("p99", run["p99_ms"], "ms", at_most=p99_at_most),
        Figure("errors", run["failed"] + run["lost"], at_most=0),
    ]


def first_call(bench):
    folder = FUNCTIONS / "hello"
    calls, imports = [], []
    for number in range(5 if bench.quick else 11):
        calls.append(bench.fnlite.deploy(f"first-{number}", folder).timed()[1])
        imports.append(time_of([PYTHON, "-B", "-c", "import index"], folder))
    yield Row("first call after deploy, over python3 -c 'import index'", [
        Figure("", median(calls) - median(imports), "ms", at_most=60),
        Figure("call", median(calls), "ms"),
        Figure("import", median(imports), "ms"),
    ], {"calls_ms": calls, "imports_ms": imports})


def http_floor(bench):
    door = bench.fnlite.door("/healthz")
    door.load(1, 8, method="get")
    runs = [door.load(bench.seconds(10), 8, method="get") for _ in range(bench.rounds)]
    yield Row("HTTP floor (GET /healthz), 8 connections", [
        Figure("", middle(runs, "rate_per_s"), "/s", at_least=25_000),
        Figure("p99", middle(runs, "p99_ms"), "ms"),
    ], runs)


def size(bench):
    """On a server of its own: fresh, then again on the file it left, with a function deployed."""
    server = bench.server("idle.db")
    with server:
        fresh_kb = memory_kb(server.pid, "status", "VmRSS")
        server.function("hello")
    starts = [start_ms(bench, "idle.db") for _ in range(5 if bench.quick else 11)]
    new = [start_ms(bench, f"new-{number}.db") for number in range(5 if bench.quick else 11)]
    worked_kb = memory_kb(bench.fnlite.pid, "status", "VmRSS")
    yield Row("server idle RSS", [
        Figure("", fresh_kb / 1024, "MB", at_most=20),
        Figure("after the rows above", worked_kb / 1024, "MB"),
    ])
    yield Row("stripped binary", [Figure("", BINARY.stat().st_size / 2**20, "MB", at_most=12)])
    yield Row("start to ready", [
        Figure("", median(starts), "ms", at_most=50),
        Figure("on a new file", median(new), "ms"),
    ], {"starts_ms": starts, "new_file_ms": new})


def start_ms(bench, name):
    """From exec to the line that says it is ready."""
    began = time.perf_counter()
    command = bench.server(name).command
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        server.stdout.readline()
        took_ms = (time.perf_counter() - began) * 1000
        server.terminate()
        server.stdout.read()
    return took_ms


def memory(bench):
    """Of a zygote and its parked Instances, each an init of ours and the interpreter, once nothing runs any more."""
    with bench.server("memory.db") as server:
        server.function("hello")
        zygote = next(pid for pid in descendants(server.pid) if "python" in program(pid))
        settle(zygote)
        # Below level 3 the init stands between.
        processes = descendants(zygote)
        handlers = [private_kb(pid) for pid in processes if "python" in program(pid)]
        inits = [private_kb(pid) for pid in processes if "python" not in program(pid)]
        pss_kb = memory_kb(zygote, "smaps_rollup", "Pss")
        alone_kb = memory_kb(zygote, "smaps_rollup", "Rss")
    yield Row("a parked Python Instance, with its init", [
        Figure("", (median(handlers) + median(inits)) / 1024, "MB private", at_most=1.5),
        Figure("init alone", median(inits) / 1024, "MB"),
    ], {"handlers_kb": handlers, "inits_kb": inits})
    yield Row(f"its zygote, {len(handlers)} parked", [
        Figure("", pss_kb / 1024, "MB PSS", at_most=10),
        Figure("RSS", alone_kb / 1024, "MB"),
    ])


def settle(zygote):
    """Waits until as many Instances are parked as a moment ago, for the third time."""
    before, same = None, 0
    while same < 3:
        time.sleep(0.2)
        now = children(zygote)
        same = same + 1 if now == before else 0
        before = now


def private_kb(pid):
    return memory_kb(pid, "smaps_rollup", "Private_Clean", "Private_Dirty")


def time_of(command, folder):
    began = time.perf_counter()
    subprocess.run(command, env=ENVIRONMENT, cwd=folder, check=True)
    return (time.perf_counter() - began) * 1000


def middle(runs, name):
    return median(run[name] for run in runs)
