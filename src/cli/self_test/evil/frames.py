"""Lies on the platform's own socket, descriptor 3 of every run."""
import array
import os
import socket
import struct
import time

from tools import LIFE_S

EVENT = 3


def frame(kind, payload):
    return kind + struct.pack("<II", len(payload), 0) + payload


def write_garbage(event):
    os.write(EVENT, b"?" + os.urandom(4096))
    time.sleep(LIFE_S)


def close_socket(event):
    os.close(EVENT)
    time.sleep(LIFE_S)


def answer_twice(event):
    os.write(EVENT, frame(b"R", b'{"got": "the first answer counts"}') + frame(b"R", b'{"got": "second"}'))
    return "third"


def answer_for_another(event):
    """The shape of an event with somebody else's request id, in the place of an answer."""
    other = b"01a218de-e982-7d4f-9279-09d59559c9d8"
    os.write(EVENT, struct.pack("<II", len(other), 2) + other + b"{}")
    time.sleep(LIFE_S)


def lie_about_length(event):
    os.write(EVENT, b"R" + struct.pack("<II", 0xFFFFFFFF, 0) + b"null")
    time.sleep(LIFE_S)


def half_a_frame(event):
    os.write(EVENT, b"R" + struct.pack("<II", 1000, 0) + b"[")
    time.sleep(LIFE_S)


def flood_socket(event):
    try:
        while True:
            os.write(EVENT, b"R" + b"\xff" * 65535)
    except OSError:
        time.sleep(LIFE_S)


def forged_crash(event):
    """The kind of frame that means the platform's own walls do not stand, and others that mean nothing."""
    os.write(EVENT, frame(b"X", b"not a number"))
    time.sleep(LIFE_S)


def pass_descriptors(event):
    """Descriptors that nobody asked for; who takes them has them open."""
    passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 200))]
    channel = socket.socket(fileno=os.dup(EVENT))
    for _ in range(20):
        channel.sendmsg([b"P"], passed)
    return "passed 4,000 descriptors"
