"""Prints ten lines of some 75 bytes, each with the time at which it was printed."""

import time


def main_handler(event, context):
    for number in range(10):
        print(f"{time.time_ns()} line {number} of ten, as long as lines of a log often are")
