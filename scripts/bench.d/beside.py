"""The same handler under other servers. All of them run at once and get the load in turns, ours first in each round, so
that what else the machine does falls on all of them alike; ratios are made within a round."""

from statistics import median

from figure import Figure, Row
from peers import Gunicorn, Lighttpd, Missing
from rows import PACED_CONNECTIONS, middle


def cgi(bench):
    try:
        server = bench.start(Lighttpd(bench.folder / "lighttpd"))
    except Missing as missing:
        yield Row.missing("times as many as CGI, 8 connections", missing, unit="×", at_least=6)
        return
    doors = {"fnlite": bench.fnlite.function("hello"), "python3": server.door("plain"),
             "python3 -ES": server.door("lean")}
    get_ready(doors)
    rounds = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), 8))
    yield throughput("times as many as CGI (lighttpd, python3), 8 connections", rounds, "python3", at_least=6)
    yield throughput("the same with python3 -ES", rounds, "python3 -ES")


def gunicorn(bench):
    try:
        doors = {"fnlite": bench.fnlite.function("hello"), **workers(bench)}
    except Missing as missing:
        yield Row.missing("times as long as gunicorn, paced 200/s", missing, unit="×", at_most=1.2)
        return
    get_ready(doors)
    paced = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), PACED_CONNECTIONS, rate=200))
    for name in list(doors)[1:]:
        yield latency(f"times as long as gunicorn ({name}), paced 200/s", paced, name, at_most=1.2)
    free = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), 8))
    for name in list(doors)[1:]:
        yield throughput(f"times as many as gunicorn ({name}), 8 connections", free, name)


def workers(bench):
    """Sync workers close each connection after its answer; a gthread worker keeps it, as we do."""
    kinds = {
        "1 sync worker, no keep-alive": (1, "sync", 1),
        "2 sync workers, no keep-alive": (2, "sync", 1),
        "1 gthread worker, keep-alive": (1, "gthread", 8),
    }
    return {name: bench.start(Gunicorn(bench.folder / f"gunicorn-{number}", *kind)).door()
            for number, (name, kind) in enumerate(kinds.items())}


def get_ready(doors):
    """Warms all of them and makes sure that they do the same."""
    for door in doors.values():
        door.warmed()
        if (answer := door.ask()) != {"hello": "abctest"}:
            raise RuntimeError(f"{door.url}{door.path} answers {answer}")


def in_turns(doors, rounds, measure):
    """A list of rounds, each the figures of every door by name."""
    return [{name: measure(door) for name, door in doors.items()} for _ in range(rounds)]


def latency(what, rounds, name, at_most=None):
    return compared(what, rounds, name, "p50_ms", "p50", "ms", at_most=at_most)


def throughput(what, rounds, name, at_least=None):
    return compared(what, rounds, name, "rate_per_s", "", "/s", at_least=at_least)


def compared(what, rounds, name, field, label, unit, **bound):
    ours, theirs = [one["fnlite"] for one in rounds], [one[name] for one in rounds]
    ratio = median(our[field] / their[field] for our, their in zip(ours, theirs))
    errors = sum(their["failed"] + their["lost"] for their in theirs)
    return Row(what, [
        Figure("", ratio, "×", **bound),
        Figure(f"ours {label}".strip(), middle(ours, field), unit),
        Figure(f"theirs {label}".strip(), middle(theirs, field), unit),
        *([Figure("their errors", errors)] if errors else []),
    ], {"ours": ours, "theirs": theirs})
