"""Takes as long as the event says; with the default timeout of 3 s, more than 3 does not end well."""

import time


def main_handler(event, context):
    seconds = event.get("seconds", 0)
    print("sleeping for", seconds, "s", flush=True)
    time.sleep(seconds)
    return {"slept": seconds}
