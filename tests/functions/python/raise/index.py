"""Fails while it runs: the record carries the traceback."""


def main_handler(event, context):
    print("about to fail")
    return divide(1, event.get("by", 0))


def divide(one, other):
    return one / other
