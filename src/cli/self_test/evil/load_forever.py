"""Never ends loading."""
import os
import time

import tools

tools.rename(os.environ["MARK"])
time.sleep(tools.LIFE_S)


def main_handler(event, context):
    return {"got": "loaded"}
