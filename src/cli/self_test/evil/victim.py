"""Somebody else's function: it has secrets, and listens for a moment where it is told to."""
import socket


def main_handler(event, context):
    if "listen" not in event:
        return 5
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", event["listen"]))
        listener.listen()
        listener.settimeout(2)
        try:
            listener.accept()
        except OSError:
            return "nobody came"
        return "somebody came"
