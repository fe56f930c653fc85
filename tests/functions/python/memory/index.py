"""Takes as many MB as the event says and touches every page of them."""


def main_handler(event, context):
    megabytes = event.get("mb", 1)
    block = bytearray(megabytes * 1024 * 1024)
    block[::4096] = b"x" * len(block[::4096])
    return {"mb": megabytes}
