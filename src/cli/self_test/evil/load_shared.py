"""Makes memory at import that a fork would share, and a semaphore in it: what one run does to them the next would see."""
import mmap
import multiprocessing

SHARED = mmap.mmap(-1, 4096)
SEMAPHORE = multiprocessing.get_context("fork").Semaphore(1)


def main_handler(event, context):
    if event["again"]:
        left = SHARED[:5].strip(b"\0").decode()
        return {"got": left or ("" if SEMAPHORE.acquire(timeout=1) else "the semaphore is still held")}
    SHARED[:5] = b"still"
    SEMAPHORE.acquire()
    return {"got": "wrote to memory it shares"}
