"""Outlets of Lab Streaming Layer, read back on the same machine."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from synth.live_runs import rows_of

from vacli.errors import PackageMissing
from vacli.output.live import lsl
from vacli.output.live.lsl import CHANNELS, LslOutlets

WAIT_S = 20.0


@pytest.fixture
def library() -> object:
    """The module pylsl; skips where it or its library is absent."""
    try:
        import pylsl  # noqa: F401
    except (ImportError, RuntimeError):
        pytest.skip("needs pylsl and liblsl (pip install '.[lsl]')")
    return lsl._loaded()


def inlet(library, name: str):
    """An open inlet of an outlet."""
    made = library.StreamInlet(library.resolve_byprop("name", name, 1, WAIT_S)[0])
    made.open_stream(WAIT_S)
    return made


def test_values_and_markers_have_the_times_of_capture(library):
    outlets = LslOutlets("udp://test")
    values, markers = inlet(library, "va"), inlet(library, "va-markers")
    captured_s = time.monotonic() - 0.5
    rows = rows_of(
        [0, 1], valence=[0.25, float("nan")], arousal=[-0.5, 0.5], flag=["", "gap"], speech_present=[0, 1]
    )
    offset_s = library.local_clock() - time.monotonic()
    outlets.write(replace(rows, captured_s=np.array([captured_s, captured_s + 0.04])))
    samples, stamps = zip(*(values.pull_sample(WAIT_S) for _ in range(2)), strict=True)
    np.testing.assert_allclose(stamps, offset_s + captured_s + np.array([0, 0.04]), atol=0.005)
    first = dict(zip([name for name, _ in CHANNELS], samples[0], strict=True))
    assert (first["valence"], first["arousal"], first["frame"], first["face_id"]) == (0.25, -0.5, 0, 0)
    assert np.isnan(samples[1][0])
    outlets.close()
    texts = [markers.pull_sample(WAIT_S)[0][0] for _ in range(4)]
    assert texts == ["face 0 on", "gap", "speech on", "end"]


class StandIn:
    """The part of pylsl that outlets use; it keeps the markers."""

    def __init__(self) -> None:
        self.markers: list[str] = []

    def local_clock(self) -> float:
        return time.monotonic()

    def StreamInfo(self, *described: object) -> MagicMock:  # noqa: N802 - a name of pylsl
        return MagicMock()

    def StreamOutlet(self, info: object, max_buffered: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(push_sample=self._push)

    def _push(self, sample: list[object], stamp: float) -> None:
        self.markers += [text for text in sample if isinstance(text, str)]


def test_a_face_that_is_no_longer_followed_is_marked_as_gone(monkeypatch):
    library = StandIn()
    monkeypatch.setattr(lsl, "_loaded", lambda: library)
    outlets = LslOutlets("camera")
    outlets.write(rows_of([0, 0, 1], face_id=[0, 1, 1]))
    outlets.write(rows_of([2], face_id=[-1], face_detected=[False]))
    outlets.write(rows_of([3], face_id=[2], flag=["restart"]))
    assert library.markers == ["start", *(f"face {text}" for text in ("0 on", "1 on", "0 off", "1 off"))] + [
        "restart",
        "face 2 on",
    ]


def test_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr("vacli.packages.installed", lambda package: False)
    with pytest.raises(PackageMissing) as error:
        LslOutlets("udp://test")
    assert "vacli[lsl]" in error.value.one_line()


def test_missing_library_says_how_to_install_it(monkeypatch):
    import builtins

    real = builtins.__import__

    def broken(name: str, *others: object) -> object:
        if name == "pylsl":
            raise RuntimeError("LSL binary library file was not found.")
        return real(name, *others)

    monkeypatch.setattr("vacli.packages.installed", lambda package: True)
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(PackageMissing) as error:
        LslOutlets("udp://test")
    assert "PYLSL_LIB" in error.value.one_line()
