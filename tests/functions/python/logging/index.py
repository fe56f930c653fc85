"""Every way to leave a line in the log: print, standard error, logging without any set-up, a child process."""

import logging
import os
import sys

logger = logging.getLogger()


def main_handler(event, context):
    print("printed")
    print("printed to standard error", file=sys.stderr)
    logger.info("logged as info")
    logger.error("logged as error")
    sys.stdout.flush()
    os.system("echo printed by a child process")
    print("ünïcode, 中文, and a very long line:", "x" * event.get("length", 0))
    return "done"
