"""Paths of objects, such as s3://bucket/feats.zarr, with the reading methods of `pathlib.Path`."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

from vacli.errors import UsageError
from vacli.files import object_client

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
PLACES = ", ".join(f"{scheme}://" for scheme in ("s3", "gs", "az"))


class ObjectPath(type(Path())):  # type: ignore[misc]  # the class for this system
    """The path of an object, or of a folder of objects, which exists while it has objects.

    `str` is the URL. `os.fspath`, and so `open` and libraries that read files, use a local copy of the
    object (`staging`). Methods that write raise UsageError: `store` writes through `bucket`. Reading raises
    InputError, and FileNotFoundError for an object that does not exist.
    """

    @property
    def bucket(self) -> object_client.Bucket:
        """The bucket."""
        return object_client.bucket(f"{self.parts[0]}//{self.parts[1]}")

    @property
    def key(self) -> str:
        """The key in the bucket."""
        return "/".join(self.parts[2:])

    def __str__(self) -> str:
        if not self.parts or not self.parts[0].endswith(":"):  # of `relative_to`
            return super().__str__()
        return f"{self.parts[0]}//{'/'.join(self.parts[1:])}"

    def __fspath__(self) -> str:
        from vacli.files import staging

        return staging.local_copy(self)

    def __hash__(self) -> int:
        return hash(self.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and self.parts == other.parts

    def __lt__(self, other: Path) -> bool:
        return str(self) < str(other)

    def facts(self) -> object_client.ObjectFacts | None:
        """Size, time and tag of the object; None if there is none."""
        return self.bucket.facts(self.key)

    def read_bytes(self) -> bytes:
        """The content of the object."""
        return self.bucket.read(self.key)

    def read_text(self, *args: Any, **kwargs: Any) -> str:
        """The content of the object as UTF-8."""
        return self.read_bytes().decode("utf-8")

    def read_range(self, start: int, length: int) -> bytes:
        """Bytes start, start + 1, ... of the object; fewer at its end."""
        return self.bucket.read_range(self.key, start, length)

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> IO[Any]:
        """Open the local copy for reading. Raises UsageError for another mode."""
        if set(mode) & set("wax+"):
            raise UsageError(f"{self} cannot be written as a file", hint="name a local path")
        return open(os.fspath(self), mode, *args, **kwargs)

    def is_file(self, **kwargs: Any) -> bool:
        """Whether there is an object of this path."""
        return self.key != "" and self.facts() is not None

    def is_dir(self, **kwargs: Any) -> bool:
        """Whether there are objects below this path, or the marker that a console makes for a folder."""
        return self.bucket.has_folder(self.key)

    def exists(self, **kwargs: Any) -> bool:
        """Whether there is an object of this path or below it."""
        return self.is_file() or self.is_dir()

    def is_symlink(self) -> bool:
        """False: there are no links."""
        return False

    def is_absolute(self) -> bool:
        """True: a URL is absolute."""
        return True

    def stat(self, **kwargs: Any) -> os.stat_result:
        """Size and time of an object; a folder has the size 0."""
        facts = self.facts() if self.key else None
        if facts is not None:
            times = (facts.changed_s,) * 3
            return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, facts.size_bytes, *map(int, times)))
        if self.is_dir():
            return os.stat_result((stat.S_IFDIR | 0o555, 0, 0, 1, 0, 0, 0, 0, 0, 0))
        raise FileNotFoundError(2, "no such object", str(self))

    def lstat(self) -> os.stat_result:
        """As `stat`."""
        return self.stat()

    def iterdir(self) -> Iterator[ObjectPath]:
        """The folders and objects directly in this folder."""
        folders, objects = self.bucket.list_folder(self.key)
        yield from (self._at(key) for key in (*folders, *objects))

    def rglob(self, pattern: Any, **kwargs: Any) -> Iterator[ObjectPath]:
        """Objects at any depth whose names match `pattern`."""
        paths = (self._at(key) for key, _ in self.bucket.list_all(self.key))
        yield from (path for path in paths if fnmatch(path.name, pattern))

    def glob(self, pattern: Any, **kwargs: Any) -> Iterator[ObjectPath]:
        """Objects whose paths below this folder match `pattern`, whose parts `*` and `**` are understood."""
        *folders, name = Path(pattern).parts
        depth = None if "**" in folders else len(folders)
        for path in self.rglob(name):
            below = len(path.parts) - len(self.parts) - 1
            if depth is None or depth == below:
                yield path

    def resolve(self, strict: bool = False) -> ObjectPath:
        """The path itself."""
        return self

    def absolute(self) -> ObjectPath:
        """The path itself."""
        return self

    def _at(self, key: str) -> ObjectPath:
        return ObjectPath(f"{self.parts[0]}//{self.parts[1]}/{key}")


def real_path(path: Path) -> str:
    """A text that is the same for all paths of one file: `os.path.realpath`, or the URL of an object."""
    return str(path) if isinstance(path, ObjectPath) else os.path.realpath(path)


def is_url(text: str) -> bool:
    """Whether a text is a URL."""
    return URL.match(text) is not None


def is_object_url(text: str) -> bool:
    """Whether a text is the URL of an object store that `va` can use."""
    match = URL.match(text)
    return match is not None and match[1].lower() in object_client.SCHEMES


def to_path(path: Path | str) -> Path:
    """A local path, or the path of an object for a URL such as s3://bucket/name.

    Raises UsageError for a URL of another scheme, without a bucket, or with a password in it.
    """
    if isinstance(path, Path):
        return path
    match = URL.match(path)
    if match is None:
        return Path(path)
    if not is_object_url(path):
        raise UsageError(f"{match[0]}... is of an unknown scheme", hint=f"known are {PLACES}")
    rest = path[match.end() :]
    name = rest.partition("/")[0]
    has_user = "@" in name and match[1].lower() not in object_client.AT_SCHEMES
    if has_user or ":" in name:
        raise UsageError(f"{match[0]}... has a user or password", hint="give credentials by the environment")
    if not name:
        raise UsageError(f"{path} has no bucket", hint=f"write {match[0]}BUCKET/NAME")
    return ObjectPath(f"{match[1].lower()}://{rest}")
