"""Returns the event as it came."""


def main_handler(event, context):
    return event
