"""Starts a thread and opens a socket while it is loaded, which makes it unsafe to fork."""

import queue
import socket
import threading

questions, answers = queue.Queue(), queue.Queue()
listener = socket.socket()


def work():
    while True:
        answers.put(questions.get() * 2)


threading.Thread(target=work, daemon=True).start()


def main_handler(event, context):
    questions.put(event["number"])
    return {"doubled": answers.get(timeout=2), "socket": listener.fileno() >= 0}
