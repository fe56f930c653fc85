"""What is promised of the TencentCloud API: what it costs over our own door, packages, and lists."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import io
import json
import os
import subprocess
import time
import zipfile
from statistics import median

from figure import Figure, Row
from fnlite import BINARY, EVENT
from process import ENVIRONMENT

# Calls of one turn; the two doors take turns, since what a host gives changes by the second.
TURN = 100
PACKAGE_MB = 12
FUNCTIONS = 10_000
PAGE = 100
SECOND = "%Y-%m-%d"


class Signed:
    """Requests as the SDK for Python signs them, on one connection. Signing is not among what is timed."""

    def __init__(self, server):
        command = [BINARY, "--db", server.db, "keys", "create", "bench", "--tencent", "--json"]
        made = subprocess.run([str(word) for word in command], env=ENVIRONMENT, check=True, capture_output=True)
        key = json.loads(made.stdout)
        self.id, self.secret = key["secret_id"], key["secret_key"]
        self.host = server.url.removeprefix("http://")
        self.connection = http.client.HTTPConnection(self.host, timeout=60)

    def headers(self, action, body):
        now = int(time.time())
        date = time.strftime(SECOND, time.gmtime(now))
        scope = f"{date}/scf/tc3_request"
        request = "\n".join(["POST", "/", "", f"content-type:application/json\nhost:{self.host}\n", "content-type;host",
                             hashlib.sha256(body).hexdigest()])
        text = "\n".join(["TC3-HMAC-SHA256", str(now), scope, hashlib.sha256(request.encode()).hexdigest()])
        key = b"TC3" + self.secret.encode()
        for part in (date, "scf", "tc3_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        return {"Content-Type": "application/json", "Host": self.host, "X-TC-Action": action, "X-TC-Version": "2018-04-16",
                "X-TC-Timestamp": str(now), "Authorization": f"TC3-HMAC-SHA256 Credential={self.id}/{scope}, "
                f"SignedHeaders=content-type;host, Signature={signature}"}

    def call(self, action, **fields):
        """The answer, and how long it took, ms."""
        body = json.dumps(fields).encode()
        answer, took_ms = timed(self.connection, "/", body, self.headers(action, body))
        answer = json.loads(answer)["Response"]
        if "Error" in answer:
            raise RuntimeError(f"{action}: {answer['Error']}")
        return answer, took_ms


def timed(connection, path, body, headers):
    began = time.perf_counter()
    connection.request("POST", path, body, headers)
    answer = connection.getresponse().read()
    return answer, (time.perf_counter() - began) * 1000


def api(bench):
    """The same function by Invoke and by our own door, in turns, one connection each."""
    hello = bench.fnlite.function("hello")
    signed = Signed(bench.fnlite)
    ours = http.client.HTTPConnection(signed.host, timeout=60)
    bearer = {"Content-Type": "application/json", "Authorization": f"Bearer {hello.key}"}
    own, cloud = [], []
    with contextlib.closing(ours), contextlib.closing(signed.connection):
        for _ in range(bench.rounds * (4 if bench.quick else 20)):
            own += [timed(ours, hello.path, EVENT.encode(), bearer)[1] for _ in range(TURN)]
            cloud += [signed.call("Invoke", FunctionName="hello", ClientContext=EVENT)[1] for _ in range(TURN)]
    added_ms = median(cloud) - median(own)
    yield Row("Invoke by the TencentCloud API, beside our own door", [
        Figure("added", added_ms, "ms", at_most=0.15),
        Figure("p50", median(cloud), "ms"),
        Figure("own p50", median(own), "ms"),
    ], {"own": own, "cloud": cloud})
    yield from packages(bench)
    yield from lists(bench)


def package(megabytes):
    """A package of that size that nothing can make smaller."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as whole:
        whole.writestr("index.py", "def main_handler(event, context):\n    return event\n")
        whole.writestr("large.bin", os.urandom(megabytes << 20))
    return base64.b64encode(archive.getvalue()).decode()


def packages(bench):
    with bench.server("packages.db") as server:
        signed = Signed(server)
        took, ready = [], []
        for number in range(bench.rounds * 2):
            name = f"large{number}"
            began = time.perf_counter()
            took.append(signed.call("CreateFunction", FunctionName=name, Runtime="Python3.10", Handler="index.main_handler",
                                    Code={"ZipFile": package(PACKAGE_MB)})[1])
            while signed.call("GetFunction", FunctionName=name)[0]["Status"] != "Active":
                time.sleep(0.01)
            ready.append(time.perf_counter() - began)
        signed.connection.close()
    yield Row(f"CreateFunction with {PACKAGE_MB} MB of code", [
        Figure("answered", median(took) / 1000, "s", at_most=1),
        Figure("Active, with packing and signing it", median(ready), "s"),
    ], {"took": took, "ready": ready})


def lists(bench):
    with bench.server("lists.db") as server:
        signed = Signed(server)
        fill(server, signed)
        took = []
        for offset in range(0, FUNCTIONS, PAGE):
            answer, took_ms = signed.call("ListFunctions", Offset=offset, Limit=PAGE)
            if len(answer["Functions"]) != PAGE or answer["TotalCount"] != FUNCTIONS:
                raise RuntimeError(f"the page at {offset} is not whole: {answer['TotalCount']}")
            took.append(took_ms)
        signed.connection.close()
    yield Row(f"ListFunctions, {FUNCTIONS:,} functions in pages of {PAGE}", [
        Figure("each", median(took), "ms", at_most=20),
        Figure("slowest", max(took), "ms"),
    ], took)


def fill(server, signed):
    """Deploys one function, and writes the others beside it while no server has the file."""
    signed.call("CreateFunction", FunctionName="model", Runtime="Python3.10", Handler="index.main_handler", Code={"ZipFile": package(0)})
    while signed.call("GetFunction", FunctionName="model")[0]["Status"] != "Active":
        time.sleep(0.01)
    subprocess.run(["sqlite3", str(server.db)], input=f"""
        PRAGMA busy_timeout = 10000;
        BEGIN IMMEDIATE;
        CREATE TEMP TABLE many AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {FUNCTIONS - 1})
            SELECT i FROM n;
        INSERT INTO function (namespace, name, created_us, modified_us)
            SELECT 'default', printf('f%05d', i), created_us + i, modified_us + i FROM function, many WHERE name = 'model';
        INSERT INTO version (function_id, qualifier, runtime, handler, timeout_s, init_timeout_s, memory_mb, env, description,
                             package_id)
            SELECT f.id, '$LATEST', v.runtime, v.handler, v.timeout_s, v.init_timeout_s, v.memory_mb, v.env, v.description,
                   v.package_id
            FROM function f, version v WHERE f.name <> 'model';
        COMMIT;
    """, text=True, check=True, capture_output=True)
