"""Fails before it is loaded: this is no Python."""


def main_handler(event, context)
    return "never"
