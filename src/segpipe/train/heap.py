"""The C library's memory: what one step of training gives back is kept for the next."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_NEVER, _LARGEST = -1, 32 << 20


def keep() -> None:
    """Have glibc keep freed memory, which it else gives back to the system piece by piece, many times in each step.

    The system clears every page of it before it hands it out again. Elsewhere than on glibc this does nothing.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_TRIM_THRESHOLD, _NEVER)
    mallopt(_MMAP_THRESHOLD, _LARGEST)
