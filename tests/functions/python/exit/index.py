"""Ends its process instead of returning: sys.exit, os._exit, or a signal to itself."""

import os
import signal
import sys


def main_handler(event, context):
    print("leaving by", event["how"], flush=True)
    if event["how"] == "sys.exit":
        sys.exit(event.get("code", 0))
    if event["how"] == "os._exit":
        os._exit(event.get("code", 0))
    os.kill(os.getpid(), getattr(signal, event["how"]))
