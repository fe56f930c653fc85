"""What is promised of functions in Node.js: alone, and beside the same handler under other servers, in turns with ours."""

from statistics import median

from beside import get_ready, in_turns, latency, throughput
from figure import Figure, Row
from fnlite import NODE
from peers import Lighttpd, Missing, NodeFramework
from process import descendants, memory_kb, program
from rows import PACED_CONNECTIONS, eight, middle, private_kb, settle


def nodejs(bench):
    yield from alone(bench)
    yield from memory(bench)
    yield from beside(bench)


def alone(bench):
    door = bench.fnlite.function("hello", language=NODE)
    runs = [door.load(bench.seconds(10), PACED_CONNECTIONS, rate=200) for _ in range(bench.rounds)]
    yield Row("Node.js: sync over HTTP keep-alive, paced 200/s", [
        Figure("p50", middle(runs, "p50_ms"), "ms", at_most=0.35),
        Figure("p99", middle(runs, "p99_ms"), "ms"),
    ], runs)
    run = door.load(bench.seconds(30), 8)
    yield Row("Node.js: sync, 8 connections, 30 s", eight(run, at_least=1000), run)


def memory(bench):
    """Of a zygote and its parked Instances, each an init of ours and the interpreter, once nothing runs any more."""
    with bench.server("memory-node.db") as server:
        server.function("hello", language=NODE)
        zygote = next(pid for pid in descendants(server.pid) if "node" in program(pid))
        settle(zygote)
        processes = descendants(zygote)
        handlers = [private_kb(pid) for pid in processes if "node" in program(pid)]
        inits = [private_kb(pid) for pid in processes if "node" not in program(pid)]
        pss_kb = memory_kb(zygote, "smaps_rollup", "Pss")
    yield Row("a parked Node.js Instance, with its init", [
        Figure("", (median(handlers) + median(inits)) / 1024, "MB private", at_most=1.5),
        Figure(f"its zygote, {len(handlers)} parked", pss_kb / 1024, "MB PSS"),
    ], {"handlers_kb": handlers, "inits_kb": inits})


def beside(bench):
    """The framework's process stays and has no walls around it; it is what a run in a process of its own is paid with."""
    many = "times as many as CGI (lighttpd, node), 8 connections"
    long = "times as long as functions-framework for Node.js, paced 200/s"
    ours = bench.fnlite.function("hello", language=NODE)
    try:
        doors = {"fnlite": ours, "node": bench.start(Lighttpd(bench.folder / "lighttpd-node")).door("node")}
        get_ready(doors)
        rounds = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), 8))
        yield throughput(many, rounds, "node", at_least=8)
    except Missing as missing:
        yield Row.missing(many, missing, unit="×", at_least=8)
    try:
        doors = {"fnlite": ours, "framework": bench.start(NodeFramework(bench.folder / "framework-node")).door()}
    except Missing as missing:
        yield Row.missing(long, missing, unit="×")
        return
    get_ready(doors)
    paced = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), PACED_CONNECTIONS, rate=200))
    yield latency(long, paced, "framework")
    free = in_turns(doors, bench.rounds, lambda door: door.load(bench.seconds(10), 8))
    yield throughput("times as many as functions-framework for Node.js, 8 connections", free, "framework")
