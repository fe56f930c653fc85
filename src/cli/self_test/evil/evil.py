"""The handler of `fnlite doctor --self-test`: makes one attempt and says how it went. The table of attempts is
`attempts.rs`; whether what an attempt got is harm is judged there, and from outside, not here."""
import errno

import bombs
import files
import frames
import kernel
import life
import network
import remains

GROUPS = (files, kernel, life, bombs, frames, remains, network)


def nothing(event):
    """What every attempt is followed by: a run that is as if nothing had been."""


def main_handler(event, context):
    name = event["attempt"]
    attempt = nothing if name == "nothing" else next(filter(None, (getattr(group, name, None) for group in GROUPS)))
    try:
        return {"got": attempt(event)}
    except (OSError, MemoryError, RuntimeError) as refusal:
        code = errno.errorcode.get(getattr(refusal, "errno", None), "")
        return {"refused": ("%s %s" % (code, refusal)).strip()}
