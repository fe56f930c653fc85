"""Leaves traces everywhere a run may write, and reports which it found: every run must find none."""

import os

traces = []


def main_handler(event, context):
    found = list(traces)
    found += [path for path in ("/tmp/trace", "/dev/shm/trace") if os.path.exists(path)]
    found += [name for name in os.environ if name.startswith("TRACE_")]
    traces.append("global")
    os.environ["TRACE_" + str(os.getpid())] = "environment"
    for path in ("/tmp/trace", "/dev/shm/trace"):
        try:
            with open(path, "w") as file:
                file.write("here\n")
        except OSError as error:
            print(path, "cannot be written:", error)
    return {"found": found}
