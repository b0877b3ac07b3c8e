"""Leases: locks in an object store, which end with their process.

A lease is an object that is created only if it is absent. Its holder writes it again during its work. A lease
is stale if its process has ended; on another system, if it was not written for `LEASE_S`. A process that
takes over a stale lease first repairs the parts that the dead process has left. A holder that is interrupted
repairs them itself; if it cannot, it marks the lease as stale.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from vacli.errors import StoreError
from vacli.files.object_client import Bucket, ObjectFacts
from vacli.store import locks

LEASE_S = 600.0  # much more than the difference of two clocks
RENEW_S = 60.0
ENDED = b'{"process": null}'  # content of a lease whose holder has left parts to be repaired
WAIT_S = (0.05, 2.0)  # between two tries: at first, at most
_of_thread = threading.local()


class Lease:
    """A lease that this thread holds. taken_over: it was left by a dead process."""

    def __init__(self, bucket: Bucket, key: str, owner: bytes, taken_over: bool) -> None:
        self.taken_over = taken_over
        self._bucket, self._key, self._owner = bucket, key, owner
        self._written_s = time.monotonic()
        self._is_held = True

    def renew(self) -> None:
        """Write the lease again if that was some time ago. Raises StoreError if it was taken over."""
        if time.monotonic() - self._written_s < RENEW_S:
            return
        content, facts = _content(self._bucket, self._key)
        if content != self._owner or not self._bucket.replace(self._key, self._owner, facts):
            self._is_held = False
            raise StoreError(
                f"{self._bucket.url}/{self._key} was taken over by another process", hint="run it again"
            )
        self._written_s = time.monotonic()

    def restore(self, repair: Callable[[Lease], None]) -> None:
        """Repair what an error or a signal has left; if that fails, leave it to the next process."""
        if not self._is_held:
            return
        try:
            repair(self)
        except BaseException:  # the reason why the work ended is more important
            self._is_held = False
            with suppress(Exception):
                self._bucket.write(self._key, ENDED)

    def release(self) -> None:
        """Remove the lease, unless another process may have taken it over."""
        if not self._is_held or time.monotonic() - self._written_s >= LEASE_S / 2:
            return
        try:
            self._bucket.delete([self._key])
        except BaseException:  # a signal: this process would wait for its own lease
            with suppress(Exception):
                self._bucket.delete([self._key])
            raise


@contextmanager
def held(bucket: Bucket, key: str, repair: Callable[[Lease], None]) -> Iterator[Lease]:
    """Wait for a lease and hold it; a thread that holds it already goes on at once.

    repair: called with a lease that a dead process has left, before it is used, and after an error.
    """
    mine: dict[tuple[str, str], Lease] = _of_thread.__dict__.setdefault("leases", {})
    name = (bucket.url, key)
    if name in mine:
        yield mine[name]
        return
    mine[name] = lease = _acquire(bucket, key)
    try:
        if lease.taken_over:
            repair(lease)
        yield lease
    except BaseException:
        lease.restore(repair)
        raise
    finally:
        del mine[name]
        lease.release()


def is_stale(bucket: Bucket, key: str) -> bool:
    """Whether a lease was left by a dead process."""
    try:
        content, facts = _content(bucket, key)
    except FileNotFoundError:
        return False
    return _is_stale(content, facts)


def _acquire(bucket: Bucket, key: str) -> Lease:
    owner = json.dumps({"id": uuid.uuid4().hex, "process": _process(os.getpid())}).encode()
    pause_s, longest_s = WAIT_S
    while True:
        if bucket.create(key, owner):
            return Lease(bucket, key, owner, taken_over=False)
        try:
            content, facts = _content(bucket, key)
        except FileNotFoundError:  # released meanwhile
            continue
        if _is_stale(content, facts) and bucket.replace(key, owner, facts):
            return Lease(bucket, key, owner, taken_over=True)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, longest_s)


def _content(bucket: Bucket, key: str) -> tuple[bytes, ObjectFacts]:
    return bucket.read_with_tag(key)


def _is_stale(content: bytes, facts: ObjectFacts) -> bool:
    if content == ENDED or time.time() - facts.changed_s > LEASE_S:
        return True
    try:
        system, pid, started = json.loads(content)["process"].rsplit(":", 2)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return system != "" and system == _system() and _process(int(pid)) != f"{system}:{pid}:{started}"


def _process(pid: int) -> str:
    """Identity of a process: of its system, its number and the time of its start, "" for a dead one."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # no such process, or not Linux
        return f"{_system()}:{pid}:0" if pid == os.getpid() else ""
    return "" if after_name[0] in "ZX" else f"{_system()}:{pid}:{after_name[19]}"


@cache
def _system() -> str:
    """Identity of the processes that this one can see; "" where it is unknown."""
    try:
        return f"{locks.kernel_id()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
