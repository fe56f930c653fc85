"""Leaves a trace in every place it can, and tells what it finds in each: `{"mark": ..., "do": "leave"}` leaves, without
`do` it only looks, and `clear` takes away what would last on a host without walls. Every run must find what the first one
found.

`own.py` has the places within the process, `outside.py` those beyond it. With a `port` it says when it is done and waits to
be let go."""

import socket

import outside
import own

PLACES = {**own.PLACES, **outside.PLACES, **own.LAST}


def main_handler(event, context):
    if "do" in event:
        for name, place in PLACES.items():
            try:
                getattr(place, event["do"])(event["mark"])
            except OSError as error:
                print("%s: %s" % (name, error))
    found = look(event["mark"])
    if "port" in event:
        with socket.create_connection(("127.0.0.1", event["port"])) as gate:
            gate.sendall(b"r")
            gate.recv(1)
    return found


def look(mark):
    return {name: place.look(mark) for name, place in PLACES.items()}
