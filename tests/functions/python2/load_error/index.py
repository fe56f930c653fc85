"""Fails while it is loaded."""

raise ValueError("while loading")


def main_handler(event, context):
    return event
