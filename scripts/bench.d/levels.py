"""What each isolation level costs: servers held at one level each, all running at once, get the load in turns, so that what
else the machine does falls on all of them alike. Ratios are made within a round, to level 3."""

from statistics import median

from beside import get_ready, in_turns
from figure import Figure, Row
from fnlite import Fnlite
from rows import PACED_CONNECTIONS, middle

LEVELS = range(1, 6)
# What control groups may cost.
OF_LEVEL_3_AT_LEAST = 0.85


def levels(bench):
    doors, missing = {}, {}
    for level in LEVELS:
        try:
            doors[level] = door(bench, level)
        except RuntimeError as why:
            missing[level] = str(why).splitlines()[-1]
    get_ready(doors)
    paced = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), PACED_CONNECTIONS, rate=200))
    free = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), 8))
    for level in LEVELS:
        if level in missing:
            yield Row.missing(f"level {level}", missing[level])
        else:
            yield paced_row(level, [one[level] for one in paced])
            yield free_row(level, free)


def door(bench, level):
    """Of the hello-world function on a server at that level; this host may not give it."""
    server = Fnlite(bench.folder / f"level-{level}.db", "--isolation-max", level)
    server = bench.start(server)
    if server.level != level:
        raise RuntimeError(f"this host gives level {server.level}")
    return server.function("hello")


def paced_row(level, runs):
    return Row(f"level {level}, paced 200/s",
               [Figure("p50", middle(runs, "p50_ms"), "ms"), Figure("p99", middle(runs, "p99_ms"), "ms")], runs)


def free_row(level, rounds):
    runs = [one[level] for one in rounds]
    figures = [Figure("", middle(runs, "rate_per_s"), "/s"), Figure("p99", middle(runs, "p99_ms"), "ms"),
               Figure("errors", sum(run["failed"] + run["lost"] for run in runs), at_most=0)]
    if 3 in rounds[0] and level != 3:
        ratio = median(one[level]["rate_per_s"] / one[3]["rate_per_s"] for one in rounds)
        figures.insert(1, Figure("of level 3", ratio, "×", at_least=OF_LEVEL_3_AT_LEAST if level == 4 else None))
    return Row(f"level {level}, 8 connections", figures, runs)
