"""Returns what the platform says about the run, and the environment it runs in."""

import os


def main_handler(event, context):
    return {"context": context, "environment": dict(os.environ), "cwd": os.getcwd()}
