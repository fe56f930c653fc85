"""Takes more memory at import than a run may have."""
held = [bytearray(16 << 20) for _ in range(40)]


def main_handler(event, context):
    return {"got": "loaded %d MB" % (16 * len(held))}
