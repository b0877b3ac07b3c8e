"""URLs where a local path is expected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from vacli.cli.main import run, va


def leaves(command: click.Command) -> Iterator[click.Command]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield command
        return
    for one in inner.values():
        yield from leaves(one)


@pytest.mark.parametrize("url", ["s3://bucket/x.zarr", "foo://x/y"])
@pytest.mark.parametrize("command", ["align", "extract-visual", "extract-audio"])
def test_a_store_with_a_url_writes_no_local_folder(command, url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"")
    assert run([command, "a.mp4", "-o", url]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{url} is a URL" in line
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_the_default_store_may_not_be_a_url_of_an_unknown_scheme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VA_STORE", "foo://x/y.zarr")
    assert run(["extract-audio", "a.mp4"]) == 2
    assert "VA_STORE: foo://x/y.zarr is a URL" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_every_option_with_a_path_refuses_urls():
    params = [(c, p) for c in leaves(va) for p in c.params if isinstance(p.type, click.Path)]
    assert len(params) > 30
    for command, param in params:
        with pytest.raises(click.BadParameter, match="is a URL"):
            param.type.convert("foo://x/y", param, click.Context(command))


def test_local_paths_with_a_colon_are_kept():
    param = next(p for p in va.commands["align"].params if p.name == "out")
    assert param.type.convert("s3:/x", param, None) == Path("s3:/x")
