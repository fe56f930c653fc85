"""Our server, and `fnlite bench`, the load generator used for it and for all others."""

import contextlib
import http.client
import json
import re
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from process import ENVIRONMENT, ROOT, Process

BINARY = ROOT / "target/release/fnlite"


@dataclass(frozen=True)
class Language:
    """Where its test functions are, and how they are deployed."""
    name: str
    folder: Path
    runtime: str
    handler: str = "index.main_handler"


@dataclass(frozen=True)
class Compiled(Language):
    """Its functions are built first, into `target`."""

    def build(self, name):
        place = ROOT / "target/functions/go" / name
        environment = {**ENVIRONMENT, "GO111MODULE": "off", "CGO_ENABLED": "0", "GOPROXY": "off",
                       "GOCACHE": str(ROOT / "target/functions/go-build/cache"),
                       "GOPATH": str(ROOT / "target/functions/go-build/path")}
        built = subprocess.run(["go", "build", "-o", str(place / "main"), "."], cwd=ROOT / "tests/functions/go" / name,
                               env=environment, stderr=subprocess.PIPE, text=True)
        if built.returncode:
            raise RuntimeError(built.stderr)


PYTHON = Language("Python", ROOT / "tests/functions/python", "Python3.10")
NODE = Language("Node.js", ROOT / "tests/functions/nodejs", "Nodejs20.19")
PHP = Language("PHP", ROOT / "tests/functions/php", "Php8.0")
GO = Compiled("Go", ROOT / "target/functions/go", "Go1", "main")
FUNCTIONS = PYTHON.folder
EVENT = '{"key":"abctest"}'


@dataclass
class Door:
    """Where to send the event to: an address, a path, a key."""
    url: str
    path: str
    key: str = None

    def load(self, seconds, connections=8, rate=None, method="post"):
        """The load generator's figures. The event is sent by POST, nothing by GET."""
        pace = ["--rate", rate] if rate else []
        return figures(["--url", self.url, "--json", "bench", f"--{method}", self.path, "--data", EVENT,
                        "--connections", connections, "--duration", f"{seconds}s", *pace], self.key)

    def ask(self):
        """What one request is answered."""
        return json.loads(self.timed()[0])

    def timed(self, event=EVENT, patience_s=60):
        """The answer to one request on a connection of its own, and how long it took, in ms, without connecting."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=patience_s)
        with contextlib.closing(connection):
            connection.connect()
            began = time.perf_counter()
            connection.request("POST", self.path, event, headers)
            answer = connection.getresponse()
            body = answer.read()
            took_ms = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise RuntimeError(f"{self.url}{self.path} answered {answer.status}: {body}")
        return body, took_ms

    def warmed(self):
        """This door after some requests, so that a first one's costs are not in what follows."""
        figures = self.load(1)
        if figures["failed"] + figures["lost"]:
            raise RuntimeError(f"{self.url}{self.path} does not answer well: {figures}")
        return self


class Fnlite(Process):
    """`fnlite serve` on a database of its own."""

    def __init__(self, db, *options):
        super().__init__([BINARY, "--db", db, "serve", "--listen", "127.0.0.1:0", *options], db.with_suffix(".log"))
        self.db = db
        self.key = None
        self.deployed = set()

    def wait_until_ready(self):
        self.url = self.find_in_log(r"ready at (http://\S+)\n")
        self.level = int(self.find_in_log(r"isolation +level (\d)"))
        shown = re.search(r"key +(fnl_\S+)", self.log.read_text())
        self.key = shown.group(1) if shown else self.key

    def deploy(self, name, folder, memory_mb=128, *options):
        """Only returns what was deployed; the first call loads it."""
        command = [BINARY, "--db", self.db, "deploy", name, folder, "--memory", memory_mb, *options]
        subprocess.run([str(word) for word in command], env=ENVIRONMENT, check=True, capture_output=True)
        return self.door(f"/v1/functions/{name}/invoke")

    def function(self, name, memory_mb=128, language=PYTHON, reuse=False):
        """The door of one of the test functions, deployed and warm."""
        folder = language.folder / name
        if language is not PYTHON:
            name = f"{name}-{language.folder.name}"
        if reuse:
            name = f"{name}-kept"
        if name not in self.deployed:
            kept = ["--reuse"] if reuse else []
            self.deploy(name, folder, memory_mb, "--runtime", language.runtime, "--handler", language.handler, *kept).warmed()
            self.deployed.add(name)
        return self.door(f"/v1/functions/{name}/invoke")

    def door(self, path):
        return Door(self.url, path, self.key)

    def events(self, name, seconds=None, count=None, rate=None, wait="0s"):
        """The load generator's figures of events sent on 64 connections, for a time or so many, and, with a wait, of their
        runs."""
        extent = ["--duration", f"{seconds}s"] if count is None else ["--count", count]
        pace = ["--rate", rate] if rate else []
        return figures(["--url", self.url, "--json", "bench", name, "--async", "--data", EVENT, "--connections", 64,
                        "--wait", wait, *extent, *pace], self.key)

    def waiting(self, url=None):
        """How many events wait, as the server there tells."""
        request = urllib.request.Request(f"{url or self.url}/metrics", headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(re.search(r"^fnlite_events_waiting (\d+)$", answer.read().decode(), re.MULTILINE).group(1))


def figures(words, key):
    """What `fnlite bench` found."""
    environment = {**ENVIRONMENT, **({"FNLITE_KEY": key} if key else {})}
    ran = subprocess.run([BINARY, *map(str, words)], env=environment, cwd="/", stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    # 3: some requests failed, which the figures tell.
    if ran.returncode not in (0, 3):
        raise RuntimeError(f"the load generator failed: {ran.stderr}")
    return json.loads(ran.stdout)
