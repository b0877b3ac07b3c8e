"""Requests to object stores (S3, Google Cloud Storage, Azure, memory) through `obstore`.

obstore is used for whole objects. With 13 objects and 1.5 MB a video against a local S3 server, writing a
video took 55 ms by `obstore.put`, 108 ms by s3fs, 218 ms by Zarr's ObjectStore and 666 ms by its FsspecStore;
reading took 50 ms (objects that Zarr decodes from memory), 89 ms (ObjectStore) and 317 ms (FsspecStore).

Credentials come from the environment, as for every client of these services. An error has the URL of the
object and the reason of the server, and no credentials. Failed requests are repeated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from vacli import packages
from vacli.errors import InputError, OutputError, UsageError

SCHEMES = ("s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss", "memory")
AT_SCHEMES = ("abfs", "abfss")  # abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/NAME
RETRIES, RETRY_S = 8, 60
REQUEST_S, CONNECT_S = 120, 10
ANSWER = re.compile(r"<Code>([^<]*)</Code>.*?<Message>([^<]*)</Message>", re.DOTALL)
REASON_CHARS = 200
CREDENTIALS_HINT = "check the credentials and the rights of the bucket"
REQUEST_HINT = "check the address, the credentials and the network, and run it again"
NAME_HINT = "rename that object: a folder is readable if no part of a name in it is empty, `.` or `..`"


@dataclass(frozen=True)
class ObjectFacts:
    """Size in bytes, time of the last change (Unix seconds) and tag of an object; the tag changes with it."""

    size_bytes: int
    changed_s: float
    tag: str
    version: str | None = None


class Bucket:
    """The objects of a bucket by key. Reading raises InputError, writing OutputError.

    An object that does not exist is a FileNotFoundError, or None where the methods say so.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        with packages.needed_by(f"{url}"):
            import obstore
        self._obstore: Any = obstore
        self._client = _client(url)
        self._process = os.getpid()

    def read(self, key: str) -> bytes:
        """The content of an object."""
        with self._errors(key):
            return self._obstore.get(self._client, key).bytes().to_bytes()

    def read_with_tag(self, key: str) -> tuple[bytes, ObjectFacts]:
        """The content of an object and its facts, from one request."""
        with self._errors(key):
            answer = self._obstore.get(self._client, key)
            return answer.bytes().to_bytes(), _facts(answer.meta)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Bytes start, start + 1, ... of an object; fewer at its end."""
        with self._errors(key):
            return self._obstore.get_range(self._client, key, start=start, length=length).to_bytes()

    def download(self, key: str, path: str) -> None:
        """Write an object into a local file."""
        with self._errors(key), open(path, "wb") as file:
            for block in self._obstore.get(self._client, key).stream(min_chunk_size=4 << 20):
                file.write(block)

    def facts(self, key: str) -> ObjectFacts | None:
        """The facts of an object, None if it does not exist."""
        try:
            try:
                with self._errors(key):
                    return _facts(self._obstore.head(self._client, key))
            except InputError:  # whose reason is unknown: an answer to HEAD has no text
                self.read_range(key, 0, 1)
                raise
        except FileNotFoundError:
            return None

    def list_all(self, prefix: str) -> list[tuple[str, ObjectFacts]]:
        """Keys that begin with a folder's `prefix` and "/", sorted, with their facts.

        Markers of folders are left out, except those of empty folders in this folder.
        """
        with self._errors(prefix):
            blocks = self._obstore.list(self._client, prefix or None)
            found = [(meta["path"], _facts(meta)) for block in blocks for meta in block]
        return sorted(_without_markers(prefix, found))

    def list_folder(self, prefix: str) -> tuple[list[str], list[str]]:
        """Keys of the folders and of the objects directly in a folder, sorted; no folder markers."""
        folders, objects = self._list_folder(prefix)
        return folders, [key for key in objects if key != prefix]

    def has_folder(self, prefix: str) -> bool:
        """Whether there are objects below a folder, or its marker."""
        return any(self._list_folder(prefix))

    def write(self, key: str, data: bytes | Path) -> None:
        """Write an object from bytes or a local file."""
        with self._errors(key, writes=True):
            self._obstore.put(self._client, key, data)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless it exists; whether it now has this content by this or an earlier request."""
        return self._put_if(key, data, "create")

    def replace(self, key: str, data: bytes, before: ObjectFacts) -> bool:
        """Write an object if it has not changed since `before`; whether it now has this content."""
        mode = {"e_tag": before.tag} | ({"version": before.version} if before.version else {})
        return self._put_if(key, data, mode)

    def copy(self, key: str, target: str) -> None:
        """Copy an object within the bucket, without its bytes passing through this machine."""
        with self._errors(key, writes=True):
            self._obstore.copy(self._client, key, target)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that do not exist are ignored."""
        for key in keys:
            try:
                with self._errors(key, writes=True):
                    self._obstore.delete(self._client, key)
            except FileNotFoundError:
                continue

    def _list_folder(self, prefix: str) -> tuple[list[str], list[str]]:
        with self._errors(prefix):
            found = self._obstore.list_with_delimiter(self._client, prefix or None)
            return sorted(found["common_prefixes"]), sorted(meta["path"] for meta in found["objects"])

    def _put_if(self, key: str, data: bytes, mode: object) -> bool:
        try:
            with self._errors(key, writes=True):
                self._obstore.put(self._client, key, data, mode=mode, use_multipart=False)
            return True
        except (FileExistsError, FileNotFoundError):
            pass
        try:  # the answer to the first of several tries may have been lost
            return self.read(key) == data
        except FileNotFoundError:
            return False

    @contextmanager
    def _errors(self, key: str, writes: bool = False) -> Iterator[None]:
        known = self._obstore.exceptions
        if self._process != os.getpid():  # obstore's threads do not survive a fork
            raise self._failed(key, "the process was forked after its first request", "report it", writes)
        try:
            yield
        except (known.AlreadyExistsError, known.PreconditionError) as error:
            raise FileExistsError(f"{self.url}/{key}") from error
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._failed(key, "no such bucket", "check its name", writes) from None
            raise FileNotFoundError(2, "no such object", f"{self.url}/{key}") from None
        except (known.PermissionDeniedError, known.UnauthenticatedError) as error:
            reason = f"access denied ({_reason(error)})"
            raise self._failed(key, reason, CREDENTIALS_HINT, writes) from None
        except (known.BaseError, ValueError) as error:
            is_name = isinstance(error, known.InvalidPathError) or "parse path" in str(error)
            hint = NAME_HINT if is_name else REQUEST_HINT
            raise self._failed(key, _reason(error), hint, writes) from None

    def _failed(self, key: str, reason: str, hint: str, writes: bool) -> InputError | OutputError:
        kind, verb = (OutputError, "written") if writes else (InputError, "read")
        return kind(f"{self.url}/{key} cannot be {verb}: {reason}", hint=hint)


@cache
def bucket(url: str) -> Bucket:
    """The bucket of a URL such as s3://name, one object a process. Raises UsageError, PackageMissing."""
    return Bucket(url)


def _client(url: str) -> Any:
    from obstore.store import MemoryStore, from_url

    make: Any = from_url  # which has a type for each kind of store
    scheme = url.partition("://")[0]
    if scheme == "memory":
        return MemoryStore()
    options = {
        "timeout": timedelta(seconds=REQUEST_S),
        "connect_timeout": timedelta(seconds=CONNECT_S),
        "allow_http": _endpoint().startswith("http://"),
    }
    retries = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_S)}
    more = _aws_session() if scheme in ("s3", "s3a") else {}
    try:
        return make(f"{url}/", client_options=options, retry_config=retries, **more)
    except Exception as error:  # obstore has several kinds for a wrong address or setting
        raise UsageError(f"{url}: {_reason(error)}", hint="check its name and the settings") from None


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def _aws_session() -> dict[str, Any]:
    """Credentials of boto3 (profiles, single sign-on) if it is installed and the environment has no key."""
    if "AWS_ACCESS_KEY_ID" in os.environ or not packages.installed("boto3"):
        return {}
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = boto3.Session()
    if session.get_credentials() is None:
        return {}
    return {"credential_provider": Boto3CredentialProvider(session=session)}


def _facts(meta: Any) -> ObjectFacts:
    changed_s = meta["last_modified"].timestamp()
    return ObjectFacts(meta["size"], changed_s, str(meta["e_tag"]), meta.get("version"))


def _without_markers(prefix: str, found: list[tuple[str, ObjectFacts]]) -> list[tuple[str, ObjectFacts]]:
    """Without the empty objects that consoles make for folders: KEY/, which obstore lists as KEY."""
    empty = {key for key, facts in found if facts.size_bytes == 0}
    folders = {prefix} | {key[:end] for key, _ in found if empty for end, c in enumerate(key) if c == "/"}
    return [(key, facts) for key, facts in found if key not in empty or key not in folders]


def _reason(error: Exception) -> str:
    """The reason in an answer of a server, or the first line of an error, without parameters of URLs."""
    text = str(error)
    if answer := ANSWER.search(text):
        return f"{answer[1]}: {answer[2].strip().rstrip('.')}"
    line = re.sub(r"\?\S*", "", text.strip().partition("\n")[0])
    return line if len(line) <= REASON_CHARS else f"{line[:REASON_CHARS]}..."
