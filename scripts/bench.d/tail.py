"""What is promised of following the log: how long a line takes to those who follow."""

import contextlib
import http.client
import json
import multiprocessing
import selectors
import threading
import time

from figure import Figure, Row

# Runs a second, and the lines that each of them prints.
RUNS = 100
LINES = 10
# As many as a server serves, and how long the measured one gets to hear the last line.
TAILS_MAX = 64
PATIENCE_S = 20


def tail(bench):
    """Each on a server of its own. Lines carry the time at which they were printed, so what is measured has the rest of the run
    and the commit in it."""
    for others in (0, TAILS_MAX - 1):
        with bench.server(f"tail-{others}.db") as server, crowd(server, others):
            yield row(bench, server, others)


def row(bench, server, others):
    door = server.function("lines")
    follower = Follower(server)
    load = door.load(bench.seconds(30), 4, rate=RUNS)
    expected = load["succeeded"] * LINES
    delays_ms = sorted(follower.heard(expected))
    beside = f" beside {others} others" if others else ""
    return Row(f"a line to who follows{beside}, {RUNS * LINES:,} printed a second", [
        Figure("p50", quantile(delays_ms, 0.5), "ms"),
        Figure("p99", quantile(delays_ms, 0.99), "ms", at_most=250),
        Figure("the longest", delays_ms[-1], "ms"),
        Figure("missing", expected - len(delays_ms) + load["failed"] + load["lost"], at_most=0),
    ], load)


class Follower:
    """Follows the function, from now on, on a thread of its own."""

    def __init__(self, server):
        self.delays_ms = []
        self.answer = follow(server, "?function=lines")[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for event in self.answer:
            if event.startswith(b"data: "):
                now_ns = time.time_ns()
                line = json.loads(event[len(b"data: "):])
                if line["stream"] == "stdout":
                    printed_ns = int(line["message"].split(" ", 1)[0])
                    self.delays_ms.append((now_ns - printed_ns) / 1e6)

    def heard(self, expected):
        """The delays of all lines, once there are as many."""
        end = time.monotonic() + PATIENCE_S
        while len(self.delays_ms) < expected and time.monotonic() < end:
            time.sleep(0.05)
        return self.delays_ms


@contextlib.contextmanager
def crowd(server, count):
    """So many others follow, in a process of their own, and take what they are sent without looking at it: that would measure
    this program."""
    connections = [follow(server)[0] for _ in range(count)]
    process = multiprocessing.Process(target=take, args=([connection.sock for connection in connections],), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def take(sockets):
    room = bytearray(1 << 16)
    with selectors.DefaultSelector() as selector:
        for socket in sockets:
            selector.register(socket, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                key.fileobj.recv_into(room)


def follow(server, query=""):
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=PATIENCE_S)
    connection.request("GET", f"/v1/logs/tail{query}", headers={"Authorization": f"Bearer {server.key}"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"the log cannot be followed: {answer.status} {answer.read()}")
    return connection, answer


def quantile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
