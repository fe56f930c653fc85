"""Ignores SIGTERM, leaves a grandchild that holds the pipes, and does not end: the deadline must end all of it."""

import os
import signal
import time


def main_handler(event, context):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            print("grandchild", flush=True)
            time.sleep(600)
        os._exit(0)
    print("parent", flush=True)
    time.sleep(600)
