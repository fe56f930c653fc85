"""scripts/bench: measures the rows, prints them as one table, writes them as bench.json.

  rows.py       what is promised of fnlite alone
  events.py     what is promised of asynchronous events
  beside.py     the same handler under other servers, in turns with ours
  languages.py  all of this for functions in other languages, and for processes that are kept
  queues.py     our queue of events beside another one
  search.py     what is promised of finding log lines
  tail.py       what is promised of following the log
  cloud.py      what is promised of the TencentCloud API
  objects.py    what is promised of the object storage
  triggers.py   what is promised of requests and timers that run functions
  kafka.py      what is promised of triggers on Kafka topics; topic.py is the topic
  flood.py      what is promised of others while functions print without end
  levels.py     our server at each isolation level (`--levels`)
  figure.py     a measured number and its bound; a row of them
  fnlite.py     our server and the load generator
  peers.py      the other servers
  process.py    starting and stopping processes, and what /proc tells of them
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import beside
import cloud
import events
import flood
import kafka
import languages
import levels
import objects
import queues
import rows
import search
import tail
import triggers
from fnlite import Fnlite
from process import ROOT, load_average

MEASUREMENTS = {
    "paced": rows.paced,
    "one": rows.one_connection,
    "eight": rows.eight_connections,
    "heap": rows.large_heap,
    "first": rows.first_call,
    "floor": rows.http_floor,
    "size": rows.size,
    "memory": rows.memory,
    "accepts": events.accepts,
    "executed": events.executed,
    "mixed": events.mixed,
    "recovery": events.recovery,
    "tail": tail.tail,
    "flood": flood.flood,
    "api": cloud.api,
    "objects": objects.objects,
    "gateway": triggers.gateway,
    "timers": triggers.timers,
    "kafka": kafka.kafka,
    "cgi": beside.cgi,
    "gunicorn": beside.gunicorn,
    "huey": queues.huey,
    "search": search.search,
    "nodejs": languages.nodejs,
    "php": languages.php,
    "go": languages.go,
    "reuse": languages.reuse,
}


class Bench:
    """What a measurement gets: our server, a folder to work in, and how long to take."""

    def __init__(self, quick, level, folder, stack):
        self.quick = quick
        self.folder = folder
        self.stack = stack
        self.rounds = 2 if quick else 3
        # Options of every server of ours.
        self.held = ["--isolation-max", level] if level else []
        self.fnlite = self.start(self.server("fnlite.db"))
        if level and self.fnlite.level != level:
            sys.exit(f"this host gives level {self.fnlite.level}, not {level}")

    def server(self, name, *options):
        """A server of ours that is not started yet."""
        return Fnlite(self.folder / name, *self.held, *options)

    def start(self, server):
        """Starts a server that is stopped at the end, however that comes."""
        return self.stack.enter_context(server)

    def seconds(self, full):
        return max(1, full // 10) if self.quick else full


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    report = {"at": datetime.datetime.now().astimezone().isoformat(timespec="seconds"), "commit": commit(),
              "quick": options.quick, "level": options.level, "machine": machine(), "rows": []}
    with working_folder() as folder, contextlib.ExitStack() as stack:
        os.chmod(folder, 0o711)  # below level 3 functions are other users who see the host's folders
        bench = Bench(options.quick, options.level, Path(folder), stack)
        for name in ["levels"] if options.levels else options.only or MEASUREMENTS:
            report["rows"] += measure(name, levels.levels if options.levels else MEASUREMENTS[name], bench)
    print_table(report)
    (ROOT / "bench.json").write_text(json.dumps(report, indent=2) + "\n")
    print("\nwritten to bench.json, with all that was measured")


def working_folder():
    """Below target/, so on a real disk, as a database usually is."""
    above = ROOT / "target/bench"
    above.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="run-", dir=above)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures fnlite, and other servers beside it.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, for trying")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, metavar="ROW",
                        help="one of " + ", ".join(MEASUREMENTS) + "; may be given many times")
    parser.add_argument("--level", type=int, choices=range(1, 6), metavar="N",
                        help="hold our servers at that isolation level, 1 to 5; else they reach what the host gives")
    parser.add_argument("--levels", action="store_true", help="the throughput rows at each isolation level, side by side")
    return parser.parse_args()


def measure(name, measurement, bench):
    print(f"\n{name} (load average {load_average()[0]:.2f})", flush=True)
    load = load_average()
    found = []
    for row in measurement(bench):
        print("  " + row.line(), flush=True)
        found.append({"name": name, **row.as_json(), "load_average": load})
    return found


def print_table(report):
    told = report["machine"]
    print(f"\n{told['cpu']}, {told['cores']} cores, {told['kernel']}, Python {told['python']}, commit {report['commit']}; "
          f"load average before: {told['load_average'][0]:.2f}\n")
    head = ("what", "reach", "measured", "", "load")
    lines = [(row["what"], row["reach"], row["measured"], row["verdict"], f"{row['load_average'][0]:.1f}")
             for row in report["rows"]]
    widths = [max(map(len, column)) for column in zip(head, *lines)]
    for line in (head, ["-" * width for width in widths], *lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")


def machine():
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
            "python": platform.python_version(), "nice": os.nice(0), "load_average": load_average()}


def commit():
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return asked.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
