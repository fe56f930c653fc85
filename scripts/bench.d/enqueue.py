"""Enqueues tasks as fast as may be: `enqueue.py PROCESSES SECONDS` for a time, `enqueue.py PROCESSES SECONDS COUNT` at most so
many. All processes begin at once; what was done, and how long it took, is printed as JSON."""

import json
import multiprocessing
import sqlite3
import sys
import time

EVENT = {"key": "abctest"}


def enqueue(begin, seconds, count, told):
    from tasks import handle
    done, failed, longest_s = 0, 0, 0
    begin.wait(60)
    began = time.perf_counter()
    while done < count and time.perf_counter() - began < seconds:
        start = time.perf_counter()
        try:
            handle(EVENT)
            done += 1
        except sqlite3.OperationalError:
            failed += 1
        longest_s = max(longest_s, time.perf_counter() - start)
    told.put((done, failed, longest_s, began, time.perf_counter()))


def main(processes, seconds, count=sys.maxsize):
    import tasks  # makes the tables, so that the processes do not all do
    begin, told = multiprocessing.Barrier(processes), multiprocessing.Queue()
    everybody = [multiprocessing.Process(target=enqueue, args=(begin, seconds, -(-count // processes), told))
                 for _ in range(processes)]
    for process in everybody:
        process.start()
    found = [told.get(timeout=seconds + 60) for _ in everybody]
    for process in everybody:
        process.join()
    done, failed, longest_s, began, ended = zip(*found)
    took_s = max(ended) - min(began)
    print(json.dumps({"enqueued": sum(done), "failed": sum(failed), "took_s": took_s, "rate_per_s": sum(done) / took_s,
                      "max_ms": max(longest_s) * 1000}))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
