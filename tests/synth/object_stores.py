"""Object stores for tests: in memory, and an S3 server on this machine that may be slow or fail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import random
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from vacli.files.object_client import Bucket
from vacli.files.object_path import ObjectPath

WRITES = ("write", "create", "replace", "copy", "delete")
READS = ("read", "read_with_tag", "read_range", "facts", "list_all", "list_folder", "has_folder")


def memory_folder() -> ObjectPath:
    """An empty folder in memory."""
    return ObjectPath(f"memory://{uuid.uuid4().hex}/folder")


def keys(path: ObjectPath) -> list[str]:
    """The keys of all objects below a folder, relative to it."""
    return [key.removeprefix(f"{path.key}/") for key, _ in path.bucket.list_all(path.key)]


def upload(folder: Path, target: ObjectPath) -> ObjectPath:
    """Copy the files of a local folder, such as a store, below a path of objects, which is returned."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            target.bucket.write((target / path.relative_to(folder).as_posix()).key, path.read_bytes())
    return target


class Killed(BaseException):
    """Ends a job as the death of its process would: no later request of it succeeds."""


@contextmanager
def death_at(number: int, *, once: bool = False) -> Iterator[list[str]]:
    """Raise Killed at the changing request of this number and at all later ones; yields the keys changed.

    once: at this request only, as a signal does.
    """
    changed: list[str] = []

    def guarded(method: str) -> Callable[..., Any]:
        plain = getattr(Bucket, method)

        def call(self: Bucket, key: Any, *rest: Any) -> Any:
            if method == "delete":
                for one in key:
                    step(one)
                    plain(self, [one])
                return None
            step(key)
            return plain(self, key, *rest)

        def step(key: str) -> None:
            if len(changed) == number or (len(changed) > number and not once):
                if once:
                    changed.append(key)
                raise Killed
            changed.append(key)

        return call

    with _replaced({method: guarded(method) for method in WRITES}):
        yield changed


@contextmanager
def counted_requests() -> Iterator[list[str]]:
    """The names of the methods of `Bucket` that are called, each of which makes at least one request."""
    made: list[str] = []

    def counted(method: str) -> Callable[..., Any]:
        plain = getattr(Bucket, method)

        def call(self: Bucket, *rest: Any) -> Any:
            made.append(method)
            return plain(self, *rest)

        return call

    with _replaced({method: counted(method) for method in (*READS, *WRITES)}):
        yield made


@contextmanager
def _replaced(methods: dict[str, Callable[..., Any]]) -> Iterator[None]:
    with ExitStack() as stack:
        for name, method in methods.items():
            stack.enter_context(mock.patch.object(Bucket, name, method))
        yield


class S3Server:
    """moto's S3 on 127.0.0.1.

    failing: the share of requests that are answered by 503. denied_methods: HTTP methods answered by 403.
    expired: whether the credentials of all requests have expired.
    """

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Silent(WSGIRequestHandler):
            def log(self, *args: object) -> None:
                pass

        self.failing, self.requests, self.expired = 0.0, 0, False
        self.denied_methods: tuple[str, ...] = ()
        self._random = random.Random(0)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Silent)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_port}",
            "AWS_ACCESS_KEY_ID": "the-key-id",
            "AWS_SECRET_ACCESS_KEY": "the-secret",
            "AWS_REGION": "us-east-1",
        }

    def folder(self) -> ObjectPath:
        """An empty folder in a new bucket."""
        name = f"b{uuid.uuid4().hex}"
        urlopen(Request(f"{self.environment['AWS_ENDPOINT_URL']}/{name}", method="PUT")).close()
        return ObjectPath(f"s3://{name}/folder")

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        self.requests += 1
        if self.expired:
            start("400 Bad Request", [("Content-Type", "application/xml")])
            return [
                b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
            ]
        if environ["REQUEST_METHOD"] in self.denied_methods:
            start("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"]
        if self._random.random() < self.failing:
            start("503 Slow Down", [("Content-Type", "text/plain")])
            return [b"slow down"]
        return self._app(environ, start)


@contextmanager
def azurite() -> Iterator[ObjectPath]:
    """An empty container of Azure's emulator, which VA_AZURITE names (azurite-blob of npm); else it skips."""
    program = os.environ.get("VA_AZURITE")
    if not program:
        pytest.skip("needs Azurite (npm install azurite, VA_AZURITE=node_modules/.bin/azurite-blob)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--inMemoryPersistence", "--skipApiVersionCheck", "--blobPort", str(port)]
    address = f"http://127.0.0.1:{port}"
    settings = {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": address}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet)
    try:
        with mock.patch.dict(os.environ, settings):
            _make_container(address)
            yield ObjectPath("az://container")
    finally:
        process.kill()
        process.wait()


def _make_container(address: str) -> None:
    """Create the container `container` with the published key of the emulator, when it answers."""
    account, version = "devstoreaccount1", "2021-08-06"
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    date = formatdate(usegmt=True)
    signed = "\n".join(
        ["PUT", *[""] * 11, f"x-ms-date:{date}", f"x-ms-version:{version}"]
        + [f"/{account}/{account}/container", "restype:container"]
    )
    digest = hmac.new(base64.b64decode(key), signed.encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "Authorization": f"SharedKey {account}:{base64.b64encode(digest).decode()}",
        "Content-Length": "0",
    }
    url = f"{address}/{account}/container?restype=container"
    deadline_s = time.monotonic() + 60
    while True:
        try:
            urlopen(Request(url, method="PUT", headers=headers)).close()
            return
        except URLError as error:
            if isinstance(error, HTTPError) or time.monotonic() > deadline_s:
                raise
            time.sleep(0.2)
