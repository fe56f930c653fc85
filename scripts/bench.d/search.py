"""What is promised of finding log lines: one function per measurement, over one log that is printed first."""

import contextlib
import http.client
import json
import re
import subprocess
import time
from statistics import median
from urllib.parse import quote

from figure import Figure, Row
from fnlite import FUNCTIONS, figures
from process import memory_kb

LINES = 10_000_000
# What a run may print in five seconds is 5,000 lines; the platform's own come on top.
LINES_OF_RUN = 4990
LINE_BYTES = 75
# Printed once every so many runs, in one line: 1 in 500,000 lines.
RUNS_BETWEEN_MARKS = 100
HOUR_S = 3600


def search(bench):
    runs = max(4, (LINES // 33 if bench.quick else LINES) // LINES_OF_RUN)
    server = bench.server("search.db", "--keep", "0s", "--keep-size", "0", "--disk-low", "0")
    with server:
        log = Log(server, runs)
        yield log.print_all()
        yield log.wait_for_index()
        for what, most_ms, path in log.questions():
            yield asked(server, what, most_ms, path, 20 if bench.quick else 50)
        yield log.scan()
        yield log.pages(20 if bench.quick else 50)
        yield log.export(20 if not bench.quick else 3)
        yield from log.beside_grep(bench.folder)


class Log:
    """A log that our own functions print, by way of ordinary runs."""

    def __init__(self, server, runs):
        self.server = server
        self.runs = runs
        server.function("hello")
        server.deploy("shop", FUNCTIONS / "shop", 256).load(1, 1)
        self.before = self.checked()

    def checked(self):
        return json.loads(get(self.server, "/v1/check", "POST")[0])

    def print_all(self):
        door = self.server.door("/v1/functions/shop/invoke")
        began = time.perf_counter()
        marked = max(1, self.runs // RUNS_BETWEEN_MARKS)
        for number in range(marked):
            self.load(door, {"lines": LINES_OF_RUN, "mark": f"needle-{number} haystack"}, 1)
            self.load(door, {"lines": LINES_OF_RUN}, self.runs // marked - 1)
        took = time.perf_counter() - began
        # Quick runs among them, whose ids are asked for.
        self.server.function("hello").load(1, 4)
        self.printed = self.checked()["lines"] - self.before["lines"]
        unindexed = self.unindexed()
        return Row(f"{self.printed:,} lines of {LINE_BYTES} bytes printed by runs, and indexed meanwhile", [
            Figure("", self.printed / took, "/s", at_least=100_000),
            # Two seconds behind at most.
            Figure("lines not indexed yet", unindexed, "", at_most=round(2 * self.printed / took)),
        ], {"took_s": took, "runs": self.runs})

    def load(self, door, event, count):
        found = figures(["--url", door.url, "--json", "bench", "--post", door.path, "--data", json.dumps(event),
                         "--connections", 4, "--count", count], door.key)
        if found["failed"] + found["lost"]:
            raise RuntimeError(f"runs failed: {found}")

    def wait_for_index(self):
        began = time.perf_counter()
        while self.unindexed():
            time.sleep(0.1)
        took = time.perf_counter() - began
        after = self.checked()
        used = [check["bytes"] - check["free_bytes"] for check in (self.before, after)]
        return Row("bytes a line, with all of its indexes and the rows of runs", [
            Figure("", (used[1] - used[0]) / self.printed, "bytes", at_most=170),
        ], {"waited_s": took, "before": self.before, "after": after})

    def unindexed(self):
        text = get(self.server, "/metrics")[0].decode()
        return int(re.search(r"^fnlite_log_lines_unindexed (\d+)$", text, re.MULTILINE).group(1))

    def questions(self):
        request = json.loads(get(self.server, "/v1/invocations?function=hello&limit=1")[0])["invocations"][0]["request_id"]
        yield "its log by request ID", 1, f"/v1/logs?request_id={request}"
        yield "the newest 100 lines of a function", 1, "/v1/logs?function=shop&limit=100"
        yield "one word, in 1 of all lines", 100, "/v1/logs?q=needle-0&limit=100"
        yield "one word, in every 500,000th line", 100, "/v1/logs?q=haystack&limit=100"
        yield "one word, in every third line", 100, "/v1/logs?q=checkout&limit=100"
        yield "one word, in none", 100, "/v1/logs?q=nowhere&limit=100"
        yield "two words AND, both in every third line", 100, "/v1/logs?q=checkout+AND+payment&limit=100"
        yield "two words AND, one of them rare", 100, "/v1/logs?q=checkout+AND+haystack&limit=100"
        yield "two words AND, never together", 100, "/v1/logs?q=needle-0+AND+needle-1&limit=100"

    def scan(self):
        since = int(time.time()) - HOUR_S
        path = f"/v1/logs?q={quote('/needle-[0-9]+ hay.tack$/')}&since={since}&limit=1000&deadline=5s"
        body, took_ms = get(self.server, path)
        answer = json.loads(body)
        histogram = json.loads(get(self.server, f"/v1/logs/histogram?since={since}&deadline=30s")[0])
        return Row("a regular expression over the last hour, with a deadline of 5 s", [
            Figure("", took_ms / 1000, "s", at_most=5.5),
            Figure("lines in that hour", histogram["lines"]),
            Figure("answer is whole (1) or says it is partial (0)", 0 if answer["partial"] else 1),
        ], answer["lines"][:3])

    def pages(self, times):
        """Pages of the console, signed in, as a browser asks for them."""
        link = json.loads(get(self.server, "/v1/sign-in-links", "POST", status=201)[0])["path"]
        with connected(self.server) as connection:
            connection.request("GET", link)
            answer = connection.getresponse()
            answer.read()
            cookie = {"Cookie": answer.getheader("Set-Cookie").split(";")[0]}
            took = {}
            for path in ["/console/", "/console/?span=7d", "/console/functions", "/console/functions/shop/test",
                         "/console/invocations", "/console/logs", "/console/logs?q=haystack"]:
                took[path] = [get(self.server, path, connection=connection, headers=cookie)[1] for _ in range(times)]
        first, *others = took
        return Row("the console's first page, as the server makes it", [
            Figure("", median(took[first]), "ms", at_most=100),
            *[Figure(path.removeprefix("/console/"), median(took[path]), "ms") for path in others],
        ], took)

    def export(self, seconds):
        peak_kb, taken, began = memory_kb(self.server.pid, "status", "VmRSS"), 0, time.perf_counter()
        at_start_kb = peak_kb
        with connected(self.server) as connection:
            connection.request("GET", "/v1/logs?function=shop&format=ndjson", headers=authorized(self.server))
            answer = connection.getresponse()
            while time.perf_counter() - began < seconds and (part := answer.read(1 << 20)):
                taken += len(part)
                peak_kb = max(peak_kb, memory_kb(self.server.pid, "status", "VmRSS"))
        took = time.perf_counter() - began
        return Row("export as NDJSON", [
            Figure("", taken / took / 1e6, "MB/s", at_least=50),
            Figure("memory grown by", (peak_kb - at_start_kb) / 1024, "MB", at_most=32),
        ])

    def beside_grep(self, folder):
        """The same lines as files, of which the oldest are compressed as logrotate leaves them."""
        plain = folder / "lines.csv"
        words = ["curl", "-sS", "-o", plain, "-H", f"Authorization: Bearer {self.server.key}",
                 f"{self.server.url}/v1/logs?function=shop&format=csv"]
        subprocess.run([str(word) for word in words], check=True)
        packed = folder / "lines.csv.gz"
        with open(packed, "wb") as out:
            subprocess.run(["gzip", "-1", "-c", plain], stdout=out, check=True)
        for what, command in [("grep -w", ["grep", "-wc", "haystack", plain]), ("zgrep -w", ["zgrep", "-wc", "haystack", packed])]:
            began = time.perf_counter()
            found = subprocess.run([str(word) for word in command], capture_output=True, text=True)
            took_ms = (time.perf_counter() - began) * 1000
            ours = median(get(self.server, "/v1/logs?q=haystack&limit=1000")[1] for _ in range(5))
            yield Row(f"one rare word, over {what} of the same lines as a file", [
                Figure("", took_ms / ours, "× faster"), Figure("ours", ours, "ms"), Figure(what, took_ms, "ms"),
            ], found.stdout)
        plain.unlink()
        packed.unlink()


def asked(server, what, most_ms, path, times):
    with connected(server) as connection:
        took = [get(server, path, connection=connection) for _ in range(times)]
    answer = json.loads(took[0][0])
    return Row(what, [Figure("", median(took_ms for _, took_ms in took), "ms", at_most=most_ms),
                      Figure("lines", len(answer["lines"]))], [took_ms for _, took_ms in took])


@contextlib.contextmanager
def connected(server):
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=120)
    with contextlib.closing(connection):
        connection.connect()
        yield connection


def authorized(server):
    return {"Authorization": f"Bearer {server.key}"}


def get(server, path, method="GET", connection=None, headers=None, status=200):
    """The answer's body and how long it took, in ms."""
    with contextlib.nullcontext(connection) if connection else connected(server) as connection:
        began = time.perf_counter()
        connection.request(method, path, headers=authorized(server) if headers is None else headers)
        answer = connection.getresponse()
        body = answer.read()
        took_ms = (time.perf_counter() - began) * 1000
    if answer.status != status:
        raise RuntimeError(f"{path} answered {answer.status}: {body[:300]}")
    return body, took_ms
