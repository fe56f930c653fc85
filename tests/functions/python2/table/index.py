# -*- coding: utf-8 -*-
"""Does what the event asks for, as the function `table` of every language does: see tests/it/languages.rs."""

from __future__ import print_function

import os
import signal
import subprocess
import sys
import threading
import time

VALUES = {
    "null": None,
    "true": True,
    "false": False,
    "largest-exact": 2 ** 53 - 1,
    "beyond-exact": 2 ** 53 + 1,
    "fraction": 0.1,
    "negative": -17,
    "text": "grüße, 世界 🌍",
    "controls": "a\"b\\c\n\t\x01",
    "empty-text": "",
    "empty-list": [],
    "empty-object": {},
    "nested": {"a": [1, {"b": [[], {}]}, None], "ключ": {"": 0}},
}


def strain():
    """A little of everything a run can take: timers, files, memory, a thread, child processes."""
    fired = threading.Event()
    threading.Timer(0.001, fired.set).start()
    held = [bytes(bytearray(1 << 16)) for _ in range(64)]
    with open("/tmp/file", "wb") as file:
        file.writelines(held)
    said = [subprocess.check_output(["sh", "-c", "cat /tmp/file | wc -c"]) for _ in range(2)]
    subprocess.Popen(["sleep", "600"])
    fired.wait()
    return [int(size) for size in said]


def main_handler(event, context):
    what, word = event["do"], event.get("what")
    if what == "return":
        return VALUES[word]
    if what == "echo":
        return word
    if what == "unserialisable":
        return {"when": set()}
    if what == "large":
        return "x" * (6 << 20)
    if what == "raise":
        raise ValueError("grüße, 世界 🌍")
    if what == "exit":
        os._exit(word)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sleep":
        time.sleep(600)
    if what == "memory":
        held = "x" * (100 << 20)
        time.sleep(600)
        return len(held)
    if what == "print":
        print("to stdout: grüße, 世界 🌍")
        print("to stderr", file=sys.stderr)
        print("no line end", end="")
        return None
    if what == "flood":
        for number in range(word):
            print("line", number)
        return word
    if what == "child":
        subprocess.Popen(["sleep", word])
        return "started"
    if what == "strain":
        return strain()
    if what == "context":
        return context
    if what == "environment":
        return dict(os.environ)
    raise LookupError(what)
