"""Google Cloud Storage and Azure: settings without a network, and Azure's emulator where it is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest import mock

import pytest
from synth.crash_jobs import first_edition, new_faces, new_feature
from synth.object_stores import azurite, keys, memory_folder

from vacli.errors import UsageError
from vacli.files import object_client
from vacli.files.object_path import ObjectPath, to_path
from vacli.store import Store, VideoView
from vacli.store.repack import arrays_of

obstore = pytest.importorskip("obstore")
AZURE = {"AZURE_STORAGE_ACCOUNT_NAME": "account", "AZURE_STORAGE_ACCOUNT_KEY": "a2V5"}


@pytest.fixture(autouse=True)
def _no_clients() -> Iterator[None]:
    object_client.bucket.cache_clear()
    yield
    object_client.bucket.cache_clear()


@pytest.mark.parametrize(
    ("url", "kind", "container", "key"),
    [
        ("gs://bucket/dir/x.zarr", "GCSStore", "bucket", "dir/x.zarr"),
        ("az://container/x.zarr", "AzureStore", "container", "x.zarr"),
        ("azure://container/x.zarr", "AzureStore", "container", "x.zarr"),
        ("abfss://files@account.dfs.core.windows.net/x.zarr", "AzureStore", "files", "x.zarr"),
    ],
)
def test_urls(url, kind, container, key):
    path = to_path(url)
    with mock.patch.dict(os.environ, AZURE):
        client = path.bucket._client
    assert (type(client).__name__, path.key, str(path)) == (kind, key, url)
    assert container in client.config.values()


def test_an_azure_account_that_is_not_given_is_one_line(monkeypatch):
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)
    with pytest.raises(UsageError) as raised:
        assert to_path("az://container/x.zarr").bucket
    assert raised.value.one_line().startswith("az://container: Generic MicrosoftAzure error: Account must be")


@pytest.mark.parametrize("url", ["gs://me@bucket/x", "s3://me@bucket/x", "abfss://c@account:word/x"])
def test_users_and_passwords_are_refused(url):
    with pytest.raises(UsageError, match="has a user or password"):
        to_path(url)


@pytest.fixture
def azure_folder() -> Iterator[ObjectPath]:
    with azurite() as container:
        yield container / "folder"


def test_a_store_in_azure_has_the_content_of_one_in_memory(azure_folder):
    reference = memory_folder()
    for job in (first_edition, new_faces, new_feature):
        for folder in (azure_folder, reference):
            job(folder)
    assert keys(azure_folder / "s.zarr") == keys(reference / "s.zarr")
    found, expected = (Store.open(folder / "s.zarr").videos() for folder in (azure_folder, reference))
    assert list(map(content, found)) == list(map(content, expected))
    bucket, key = azure_folder.bucket, (azure_folder / "x").key
    assert bucket.create(key, b"1")
    assert not bucket.create(key, b"2")
    assert bucket.replace(key, b"3", before := bucket.facts(key))
    assert not bucket.replace(key, b"4", before)


def content(view: VideoView) -> dict[str, bytes]:
    """Every array of a video."""
    return {name: view.read(name).tobytes() for name in arrays_of(view)}
