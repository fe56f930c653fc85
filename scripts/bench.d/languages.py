"""What is promised of functions in other languages than Python, and of processes that are kept: alone, and beside the same handler
under other servers, in turns with ours."""

from statistics import median

from beside import get_ready, in_turns, latency, throughput
from figure import Figure, Row
from fnlite import GO, NODE, PHP, PYTHON
from peers import Lighttpd, Missing, NodeFramework, PhpFpm
from process import children, descendants, memory_kb, program
from rows import PACED_CONNECTIONS, eight, middle, private_kb, settle


def nodejs(bench):
    yield from alone(bench, NODE, p50_ms=0.35, rate=1000)
    yield memory(bench, NODE, "node")
    yield from beside_cgi(bench, NODE, "node")
    yield from beside_warm(bench, NODE, "functions-framework for Node.js", lambda: NodeFramework(bench.folder / "framework-node"))


def php(bench):
    yield from alone(bench, PHP, p50_ms=0.3, rate=1800)
    yield memory(bench, PHP, "php")
    yield from beside_cgi(bench, PHP, "php")
    yield from beside_warm(bench, PHP, "php-fpm behind lighttpd", lambda: PhpFpm(bench.folder / "fpm"))


def go(bench):
    try:
        GO.build("hello")
    except (OSError, RuntimeError) as missing:
        yield Row.missing("Go", missing)
        return
    yield from alone(bench, GO, p50_ms=0.4, rate=500)
    yield memory(bench, GO, "main")


def reuse(bench):
    """Processes that run many events."""
    for language in (PYTHON, NODE, PHP):
        yield from alone(bench, language, p50_ms=0.3, rate=5000, reuse=True)


def alone(bench, language, p50_ms, rate, reuse=False):
    door = bench.fnlite.function("hello", language=language, reuse=reuse)
    what = f"{language.name}, processes kept" if reuse else language.name
    runs = [door.load(bench.seconds(10), PACED_CONNECTIONS, rate=200) for _ in range(bench.rounds)]
    yield Row(f"{what}: sync over HTTP keep-alive, paced 200/s", [
        Figure("p50", middle(runs, "p50_ms"), "ms", at_most=p50_ms),
        Figure("p99", middle(runs, "p99_ms"), "ms"),
    ], runs)
    run = door.load(bench.seconds(30), 8)
    yield Row(f"{what}: sync, 8 connections, 30 s", eight(run, at_least=rate), run)


def memory(bench, language, name):
    """Of parked Instances, each an init of ours and the interpreter or the program, once nothing runs any more; and what their
    zygote takes, which for Go has nothing loaded."""
    with bench.server(f"memory-{name}.db") as server:
        server.function("hello", language=language)
        is_handler = [pid for pid in descendants(server.pid) if name in program(pid)]
        zygote = is_handler[0] if language is not GO else next(
            pid for pid in descendants(server.pid) if "starter" in program(pid) and children(pid))
        settle(zygote)
        processes = descendants(zygote)
        handlers = [private_kb(pid) for pid in processes if name in program(pid)]
        others = [private_kb(pid) for pid in processes if name not in program(pid)]
        pss_kb = memory_kb(zygote, "smaps_rollup", "Pss")
    whole_kb = (sum(handlers) + sum(others)) / len(handlers)
    return Row(f"a parked {language.name} Instance, with what holds it", [
        Figure("", whole_kb / 1024, "MB private", at_most=1.5),
        Figure(f"its zygote, {len(handlers)} parked", pss_kb / 1024, "MB PSS"),
    ], {"handlers_kb": handlers, "others_kb": others})


def beside_cgi(bench, language, name):
    what = f"times as many as CGI (lighttpd, {name}), 8 connections"
    try:
        server = bench.start(Lighttpd(bench.folder / f"lighttpd-{name}"))
    except Missing as missing:
        yield Row.missing(what, missing, unit="×", at_least=8)
        return
    doors = {"fnlite": bench.fnlite.function("hello", language=language), name: server.door(name)}
    get_ready(doors)
    rounds = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), 8))
    yield throughput(what, rounds, name, at_least=8)


def beside_warm(bench, language, name, peer):
    """The peer's processes stay and have no walls around them; it is what a run in a process of its own is paid with."""
    long, many = f"times as long as {name}, paced 200/s", f"times as many as {name}, 8 connections"
    try:
        doors = {"fnlite": bench.fnlite.function("hello", language=language), name: bench.start(peer()).door()}
    except Missing as missing:
        yield Row.missing(long, missing, unit="×")
        return
    get_ready(doors)
    paced = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), PACED_CONNECTIONS, rate=200))
    yield latency(long, paced, name)
    free = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), 8))
    yield throughput(many, free, name)
