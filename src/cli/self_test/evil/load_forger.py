"""Says at import what only the launcher says: that a process could not be walled in, which would be the platform's fault."""
import os

os.write(3, b'{"kind":"L","text":"forged"}')


def main_handler(event, context):
    return {"got": "ran"}
