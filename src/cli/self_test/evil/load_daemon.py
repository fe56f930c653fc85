"""Starts a process at import that takes itself away from its parent."""
import os

import tools

tools.stay({"mark": os.environ["MARK"]})


def main_handler(event, context):
    return {"got": "started a process at import"}
