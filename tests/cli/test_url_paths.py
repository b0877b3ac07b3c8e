"""URLs where a local path is expected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from vacli.cli.main import run, va
from vacli.cli.url_paths import StorePath


def leaves(command: click.Command) -> Iterator[click.Command]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield command
        return
    for one in inner.values():
        yield from leaves(one)


@pytest.mark.parametrize("command", ["align", "extract-visual", "extract-audio"])
def test_a_store_with_a_url_of_an_unknown_scheme_is_refused(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"")
    assert run([command, "a.mp4", "-o", "foo://x/y.zarr"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "va: foo://... is of an unknown scheme; known are s3://, gs://, az://"
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("url", ["s3://user:word@bucket/x.zarr", "s3://", "s3:///x.zarr"])
def test_urls_with_a_password_or_without_a_bucket_are_refused(url, capsys):
    assert run(["align", "a.mp4", "-o", url]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "word" not in line.replace("password", "")
    assert re.search("has a user or password|has no bucket", line)


def test_the_default_store_may_not_be_a_url_of_an_unknown_scheme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VA_STORE", "foo://x/y.zarr")
    assert run(["extract-audio", "a.mp4"]) == 2
    assert "foo://... is of an unknown scheme" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_options_with_a_store_take_object_urls_and_all_others_refuse_urls():
    params = [(c, p) for c in leaves(va) for p in c.params if isinstance(p.type, click.Path)]
    stores = {f"{c.name} {p.name}" for c, p in params if isinstance(p.type, StorePath)}
    assert {"align out", "extract-audio out", "repack out", "evaluate store", "calibrate stores"} <= stores
    for command, param in params:
        if isinstance(param.type, StorePath):
            assert str(param.type.convert("s3://b/x.zarr", param, None)) == "s3://b/x.zarr"
            continue
        for url in ("foo://x/y", "s3://bucket/x.csv"):
            with pytest.raises(click.BadParameter, match="is a URL"):
                param.type.convert(url, param, click.Context(command))


def test_local_paths_with_a_colon_are_kept():
    param = next(p for p in va.commands["align"].params if p.name == "out")
    assert param.type.convert("s3:/x", param, None) == Path("s3:/x")


@pytest.mark.parametrize("command", ["align", "extract-visual", "extract-audio", "predict"])
@pytest.mark.parametrize("part", ["0/3", "4/3", "third"])
def test_a_part_out_of_range_is_one_line(command, part, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"")
    assert run([command, "a.mp4", "-o", "out.zarr", "--part", part]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"va: --part {part}")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
