"""The C library's allocator in a process that trains."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of glibc
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, for its next step; False where that is not possible.

    glibc returns the large arrays of each training step to the system and asks for them again, and the first
    touch of each of their pages takes longer than the arithmetic on it. Call it only in a process of one's
    own. Source: mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _NEVER) and mallopt(_M_MMAP_MAX, 0))
