"""What a function reaches over the network that is not for it."""
import socket
import time

from tools import first_of

PATIENCE_S = 1


def ask(address, family, head):
    """The status and body of a request for the list of functions."""
    with socket.socket(family) as channel:
        channel.settimeout(PATIENCE_S)
        channel.connect(address)
        channel.sendall(b"GET /v1/functions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + head + b"\r\n")
        answer = b""
        while True:
            piece = channel.recv(65536)
            if not piece:
                break
            answer += piece
    status = answer.split(b" ", 2)[1]
    if status != b"200":
        raise PermissionError(13, "status %s" % status.decode())
    return answer.decode("latin-1")


def use_api_without_key(event):
    return ask(("127.0.0.1", event["port"]), socket.AF_INET, b"")


def use_api_with_guessed_key(event):
    keys = (b"fnl_", b"fnl_" + b"A" * 43, b"admin")
    return first_of(*(lambda key=key: ask(("127.0.0.1", event["port"]), socket.AF_INET,
                                          b"Authorization: Bearer " + key + b"\r\n") for key in keys))


def use_socket_file(event):
    def with_key():
        with open(event["socket"] + ".key") as file:
            return ask(event["socket"], socket.AF_UNIX, b"Authorization: Bearer " + file.read().strip().encode() + b"\r\n")
    return first_of(lambda: ask(event["socket"], socket.AF_UNIX, b""), with_key)


def reach_server_port(event):
    socket.create_connection(("127.0.0.1", event["port"]), PATIENCE_S).close()
    return "connected"


def reach_host_port(event):
    socket.create_connection(("127.0.0.1", event["host_port"]), PATIENCE_S).close()
    return "connected"


def reach_link_local(event):
    """Connecting a datagram socket sends nothing; it tells whether there is a way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.connect(("169.254.169.254", 80))
        return "there is a way from %s" % channel.getsockname()[0]


def reach_abstract_socket(event):
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(PATIENCE_S)
        channel.connect("\0" + event["abstract"])
    return "connected"


def reach_instance_port(event):
    """A port that a run of another function listens on just then (victim.py)."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", event["instance_port"]), PATIENCE_S).close()
            return "connected"
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
