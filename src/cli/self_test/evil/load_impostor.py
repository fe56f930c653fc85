"""Takes the place of the process its runs are forked from: it says that it is ready, and answers each order with a handle
of the server itself, which any of the server's sockets gives (SO_PEERPIDFD, Linux 6.5), as the process to be killed when
the run is over."""
import array
import os
import socket
import struct

SO_PEERPIDFD = 77


def rights(*numbers):
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", numbers))]


def peer_of(channel):
    try:
        return struct.unpack("i", channel.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))[0]
    except OSError:
        return os.pidfd_open(os.getpid())


def serve(order, passed):
    numbers = [number for _, _, data in passed for number in array.array("i", data)]
    if order[:1] != b"N" or os.fork():
        return [os.close(number) for number in numbers]
    event = socket.socket(fileno=numbers[0])
    event.sendmsg([b"P"], rights(peer_of(event), os.pidfd_open(os.getpid())))
    event.recv(sum(struct.unpack("<II", event.recv(8))))
    event.send(b"R" + struct.pack("<II", 24, 0) + b'{"got": "took over"}    ')
    os.read(numbers[0], 1)
    os._exit(0)


control = socket.socket(fileno=3)
control.send(b'{"kind":"Z","text":"","load_us":1}')
while True:
    order, passed, _, _ = control.recvmsg(64, 1024)
    if not order:
        os._exit(0)
    serve(order, passed)
