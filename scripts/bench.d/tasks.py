"""The handler as a task of huey: on SQLite, every commit synced to the disk as ours are. Other limits are huey's own."""

import os

from huey import SqliteHuey

from index import main_handler

huey = SqliteHuey(filename=os.environ["QUEUE_DB"], fsync=True)


@huey.task()
def handle(event):
    return main_handler(event, {})
