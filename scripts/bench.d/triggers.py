"""What is promised of triggers: what a request costs over our own door, and what timers cost that do not fire, and how late they are."""

import contextlib
import http.client
import json
import os
import subprocess
import time
from statistics import median

from cloud import timed
from figure import Figure, Row
from fnlite import BINARY, EVENT
from process import ENVIRONMENT

# Calls of one turn; the doors take turns, since what a host gives changes by the second.
TURN = 100
TIMERS = 10_000
PER_FUNCTION = 10
# Timers that fire at every second, all at once.
FIRING = 10


def gateway(bench):
    """The same function by our own door, by its URL and by the gateway, in turns, one connection each."""
    hello = bench.fnlite.function("hello")
    url = fnlite(bench.fnlite, "trigger", "add", "http", "hello").removeprefix(bench.fnlite.url)
    api = fnlite(bench.fnlite, "trigger", "add", "apigw", "hello", "/hello", "--passthrough").removeprefix(bench.fnlite.url)
    host = bench.fnlite.url.removeprefix("http://")
    bearer = {"Content-Type": "application/json", "Authorization": f"Bearer {hello.key}"}
    plain = {"Content-Type": "application/json"}
    took = {path: [] for path in (hello.path, url, api)}
    connections = {path: http.client.HTTPConnection(host, timeout=60) for path in took}
    with contextlib.ExitStack() as stack:
        for connection in connections.values():
            stack.callback(connection.close)
        for _ in range(bench.rounds * (4 if bench.quick else 20)):
            for path, connection in connections.items():
                headers = bearer if path == hello.path else plain
                took[path] += [timed(connection, path, EVENT.encode(), headers)[1] for _ in range(TURN)]
    own = median(took[hello.path])
    for what, path in (("function URL", url), ("API gateway", api)):
        yield Row(f"a request to the {what}, beside our own door", [
            Figure("added", median(took[path]) - own, "ms", at_most=0.1),
            Figure("p50", median(took[path]), "ms"),
            Figure("own p50", own, "ms"),
        ], {"own": took[hello.path], "took": took[path]})


def timers(bench):
    server = bench.server("timers.db")
    with server:
        server.function("hello")
        fill(server)
        # Whoever makes one by the API has the server read them all again.
        fnlite(server, "trigger", "add", "timer", "hello", "first", "0 0 0 1 1 * 2099")
        wait_until_idle(server)
        seconds = bench.seconds(60)
        before_s, began = cpu_s(server.pid), time.monotonic()
        time.sleep(seconds)
        idle = (cpu_s(server.pid) - before_s) / (time.monotonic() - began) * 100
        for number in range(FIRING):
            fnlite(server, "trigger", "add", "timer", f"t{number:05}", "tick", "* * * * * * *")
        time.sleep(bench.seconds(60))
        late = sql(server, "SELECT created_us % 1000000 / 1000.0, started_us % 1000000 / 1000.0, init_us FROM invocation "
                           "WHERE source = 'timer' AND started_us > 0")
    rows = [tuple(map(float, line.split("|"))) for line in late.splitlines()]
    kept = [row[0] for row in rows]
    # A run that loads the code first begins later by that.
    began = [row[1] for row in rows if row[2] == 0]
    yield Row(f"{TIMERS:,} timers that do not fire", [Figure("CPU", idle, "%", at_most=1)], {"idle": idle})
    yield Row(f"{FIRING} timers that fire each second, beside them", [
        Figure("kept after, p50", median(kept), "ms"),
        Figure("at the most", max(kept), "ms", at_most=50),
        Figure("begun after, p50", median(began), "ms"),
        Figure("at the most", max(began), "ms", at_most=50),
    ], {"kept_ms": kept, "begun_ms": began})


def fnlite(server, *words):
    """What a command prints."""
    command = [BINARY, "--db", server.db, *words]
    ran = subprocess.run([str(word) for word in command], env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


def sql(server, statement):
    return subprocess.run(["sqlite3", str(server.db)], input=statement, text=True, check=True, capture_output=True).stdout


def fill(server):
    """Functions with timers, written beside the server."""
    spec = json.dumps({"cron": "0 0 0 1 1 * 2099", "zone": None})
    sql(server, f"""
        PRAGMA busy_timeout = 10000;
        BEGIN IMMEDIATE;
        CREATE TEMP TABLE many AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n
            WHERE i < {TIMERS // PER_FUNCTION - 1}) SELECT i FROM n;
        CREATE TEMP TABLE few AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {PER_FUNCTION - 2})
            SELECT i FROM n;
        INSERT INTO function (namespace, name, created_us, modified_us)
            SELECT 'default', printf('t%05d', i), created_us + i, modified_us + i FROM function, many WHERE name = 'hello';
        INSERT INTO version (function_id, qualifier, runtime, handler, timeout_s, init_timeout_s, memory_mb, env, description,
                             package_id)
            SELECT f.id, '$LATEST', v.runtime, v.handler, v.timeout_s, v.init_timeout_s, v.memory_mb, v.env, v.description,
                   v.package_id
            FROM function f, version v WHERE f.name <> 'hello';
        INSERT INTO trigger_row (function_id, kind, name, qualifier, spec, enabled, custom_argument, description, created_us,
                                 modified_us)
            SELECT f.id, 'timer', printf('timer%d', i), '$LATEST', '{spec}', 1, '', '', f.created_us, f.created_us
            FROM function f, few WHERE f.name <> 'hello';
        INSERT INTO trigger_row (function_id, kind, name, qualifier, spec, enabled, custom_argument, description, created_us,
                                 modified_us)
            SELECT f.id, 'timer', 'last', '$LATEST', '{spec}', 1, '', '', f.created_us, f.created_us
            FROM function f WHERE f.name <> 'hello' AND f.name >= 't{FIRING:05}';
        COMMIT;
    """)


def cpu_s(pid):
    """Processor time of the server and what it has waited for, seconds."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def wait_until_idle(server, patience_s=60):
    """What is begun by the filling has ended once a second costs next to nothing."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        before_s = cpu_s(server.pid)
        time.sleep(1)
        if cpu_s(server.pid) - before_s < 0.05:
            return
    raise RuntimeError("the server does not become idle")
