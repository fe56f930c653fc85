"""Waits until whoever listens on the event's port lets it go: tests hold a run with it as long as they need."""

import socket


def main_handler(event, context):
    print("at the gate", flush=True)
    with socket.create_connection(("127.0.0.1", event["port"])) as gate:
        gate.recv(1)
    return event.get("value", "passed")
