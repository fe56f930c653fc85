"""What a place is, and the C library."""

import ctypes
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"


class Place:
    """Somewhere a run may leave a trace: `look` tells what is there, as JSON, `leave` changes that, and `clear` undoes what
    would last."""

    def __init__(self, look, leave, clear=lambda mark: None):
        self.look, self.leave, self.clear = look, leave, clear


def call(function, *arguments):
    """A function of the C library; an error is raised."""
    result = getattr(libc, function)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def tried(look, *arguments):
    """Whether that goes."""
    try:
        look(*arguments)
    except OSError:
        return False
    return True


def prctl(option, value=0):
    return libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
