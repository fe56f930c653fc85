"""What is promised of the object storage: uploads that fire a function, and large ones in parts at constant memory."""

import hashlib
import hmac
import http.client
import json
import os
import threading
import time
from statistics import median

from cloud import Signed
from figure import Figure, Row
from process import memory_kb

BUCKET = "bench-1250000000"
HOST = f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"
MB = 1 << 20
CONNECTIONS = 8
LARGE_MB = 1024
PART_MB = 8


class Cos:
    """Requests as the SDK signs them, on one connection."""

    def __init__(self, server, signed):
        self.id, self.secret = signed.id, signed.secret
        self.connection = http.client.HTTPConnection(server.cos_address, timeout=120)

    def ask(self, method, path, body=b"", query=""):
        now = int(time.time())
        key_time = f"{now - 60};{now + 3600}"
        request = f"{method.lower()}\n{path}\n\nhost={HOST}\n"
        text = f"sha1\n{key_time}\n{hashlib.sha1(request.encode()).hexdigest()}\n"
        key = hmac.digest(self.secret.encode(), key_time.encode(), "sha1").hex()
        signature = hmac.digest(key.encode(), text.encode(), "sha1").hex()
        self.connection.request(method, path + query, body, {"Host": HOST, "Authorization":
            f"q-sign-algorithm=sha1&q-ak={self.id}&q-sign-time={key_time}&q-key-time={key_time}&q-header-list=host&q-url-param-list=&q-signature={signature}"})
        answer = self.connection.getresponse()
        told = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}{query}: {answer.status} {told}")
        return answer.headers, told


class Server:
    """A server of ours with a bucket."""

    def __init__(self, bench, name):
        self.server = bench.server(name, "--cos-listen", "127.0.0.1:0")

    def __enter__(self):
        server = self.server.__enter__()
        server.cos_address = server.find_in_log(r"objects +http://(\S+)")
        self.signed = Signed(server)
        self.cos().ask("PUT", "/")
        return self

    def __exit__(self, *how):
        self.signed.connection.close()
        return self.server.__exit__(*how)

    def cos(self):
        return Cos(self.server, self.signed)

    def fire(self, name):
        """Has one of the test functions run on every upload."""
        self.server.function(name)
        self.signed.call("CreateTrigger", FunctionName=name, TriggerName=HOST, Type="cos", Enable="OPEN",
                         TriggerDesc=json.dumps({"event": "cos:ObjectCreated:*"}))

    def drained(self):
        """How long the events take that wait, s."""
        began = time.perf_counter()
        while self.server.waiting():
            time.sleep(0.05)
        return time.perf_counter() - began


def objects(bench):
    yield puts(bench)
    yield large(bench)


def puts(bench):
    body, took, lock = os.urandom(MB), [], threading.Lock()
    seconds = bench.seconds(20)
    with Server(bench, "puts.db") as storage:
        storage.fire("hello")
        end = time.perf_counter() + seconds

        def lane(number):
            cos, own = storage.cos(), []
            while time.perf_counter() < end:
                began = time.perf_counter()
                cos.ask("PUT", f"/{number}/{len(own)}", body)
                own.append((time.perf_counter() - began) * 1000)
            with lock:
                took.extend(own)

        lanes = [threading.Thread(target=lane, args=(number,)) for number in range(CONNECTIONS)]
        began = time.perf_counter()
        for thread in lanes:
            thread.start()
        for thread in lanes:
            thread.join()
        spent = time.perf_counter() - began
        drained_s = storage.drained()
    took.sort()
    return Row(f"uploads of 1 MB that fire a function, {CONNECTIONS} connections", [
        Figure("", len(took) / spent, "/s", at_least=100),
        Figure("p50", median(took), "ms"),
        Figure("p99", took[len(took) * 99 // 100], "ms"),
        Figure("all of them run after", drained_s, "s"),
    ], took)


def large(bench):
    """One connection; what the parts hold matters to nobody, so all are the same."""
    megabytes = LARGE_MB // 8 if bench.quick else LARGE_MB
    part, named = os.urandom(PART_MB * MB), []
    with Server(bench, "large.db") as storage:
        pid, cos = storage.server.pid, storage.cos()
        cos.ask("PUT", "/small", b"x")
        before_kb = memory_kb(pid, "status", "VmRSS")
        began = time.perf_counter()
        upload = cos.ask("POST", "/large", query="?uploads")[1].split("<UploadId>")[1].split("<")[0]
        for number in range(1, megabytes // PART_MB + 1):
            etag = cos.ask("PUT", "/large", part, f"?partNumber={number}&uploadId={upload}")[0]["ETag"]
            named.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        parts_s = time.perf_counter() - began
        began = time.perf_counter()
        body = f"<CompleteMultipartUpload>{''.join(named)}</CompleteMultipartUpload>"
        cos.ask("POST", "/large", body.encode(), f"?uploadId={upload}")
        joined_s = time.perf_counter() - began
        most_kb = memory_kb(pid, "status", "VmHWM")
    return Row(f"an upload of {megabytes} MB in parts of {PART_MB} MB", [
        Figure("memory, at most more than before", (most_kb - before_kb) / 1024, "MB", at_most=16),
        Figure("parts", megabytes / parts_s, "MB/s"),
        Figure("joined in", joined_s, "s"),
    ], {"before_kb": before_kb, "most_kb": most_kb})
