"""What is promised of others while functions print without end."""

import concurrent.futures
import json
from statistics import median

from figure import Figure, Row
from fnlite import FUNCTIONS
from rows import middle

# Runs at once, and what each prints: together a gigabyte a minute.
RUNS = 2
MB_PER_S = 1000 / 60 / RUNS
# The floods begin before the others are timed, and end after.
MARGIN_S = 2


def flood(bench):
    """The same paced load in turns with and without floods beside it."""
    seconds = bench.seconds(10)
    with bench.server("flood.db") as server, concurrent.futures.ThreadPoolExecutor(RUNS) as floods:
        hello = server.function("hello")
        printing = server.deploy("flood", FUNCTIONS / "flood", 128, "--timeout", 120)
        event = json.dumps({"mb_per_s": MB_PER_S, "seconds": seconds + 2 * MARGIN_S})
        alone, beside, printed = [], [], []
        for _ in range(bench.rounds):
            alone.append(hello.load(seconds, 4, rate=200))
            running = [floods.submit(printing.timed, event) for _ in range(RUNS)]
            concurrent.futures.wait(running, timeout=MARGIN_S)
            beside.append(hello.load(seconds, 4, rate=200))
            printed += [json.loads(run.result()[0]) for run in running]
    times = {name: middle(beside, name) / middle(alone, name) for name in ("p50_ms", "p99_ms")}
    yield Row("sync, paced 200/s, while functions print 1 GB a minute", [
        Figure("p50", times["p50_ms"], "times", at_most=2),
        Figure("p99", times["p99_ms"], "times", at_most=2),
        Figure("p50", middle(beside, "p50_ms"), "ms"),
        Figure("p99", middle(beside, "p99_ms"), "ms"),
        Figure("printed", median(printed) * RUNS / (seconds + 2 * MARGIN_S) * 60 / 1e9, "GB/min"),
    ], {"alone": alone, "beside": beside, "printed": printed})
