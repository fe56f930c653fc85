"""Prints as many megabytes a second as the event says, for as many seconds, and returns how many bytes that were."""

import sys
import time

BLOCK = ("x" * 1023 + "\n") * 64


def main_handler(event, context):
    bytes_per_s, end = event["mb_per_s"] * 1e6, time.monotonic() + event["seconds"]
    began, printed = time.monotonic(), 0
    while time.monotonic() < end:
        if printed < (time.monotonic() - began) * bytes_per_s:
            sys.stdout.write(BLOCK)
            printed += len(BLOCK)
        else:
            time.sleep(0.001)
    return printed
