"""Prints as many lines as the event says, of some 75 characters, as a shop's server would; none are the same."""
import random
import sys

WORDS = "GET POST order cart checkout payment user item retry success cache miss hit query took connected closed".split()
RANDOM = random.Random(1)
# Made once, before the fork, so that a run does little but print.
LINES = [" ".join(RANDOM.choice(WORDS) for _ in range(6)) for _ in range(5000)]


def main_handler(event, context):
    count, run = event["lines"], event.get("run", 0) or random.SystemRandom().randrange(10 ** 7)
    marked = event.get("mark")
    text = [f"{LINES[number % 5000]} id={run:07d}-{number:04d} {number * 7919 % 997}ms" for number in range(count)]
    text = [line.ljust(75, ".")[:75] for line in text]
    if marked:
        text[count // 2] = f"{text[count // 2][:50]} {marked}"
    sys.stdout.write("\n".join(text) + "\n")
    return run
