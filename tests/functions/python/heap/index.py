"""Holds 100 MB from the time it is loaded: what a fork of a large process costs."""

block = bytearray(100 * 1024 * 1024)
block[::4096] = b"x" * len(block[::4096])


def main_handler(event, context):
    return {"mb": len(block) // (1024 * 1024)}
