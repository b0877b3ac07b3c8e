from __future__ import annotations

import copy
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from synth.sounds import RATE_HZ, noise, sound, voice
from synth.vggish_weights import random_net, write_checkpoint, write_pca

from vacli.errors import UsageError, WeightsError
from vacli.features.audio_flags import rows_and_flags
from vacli.features.flags import MISSING, PADDED
from vacli.features.registry import create
from vacli.features.vggish.extractor import Vggish, first_frames
from vacli.features.vggish.log_mel import log_mel
from vacli.features.vggish.network import VggishNet
from vacli.features.vggish.options import Postprocessing
from vacli.features.vggish.shared import MARGIN, SharedFeatures, TapConv
from vacli.runtime.options import ExecutionOptions

TIMES_S = np.arange(75) / 25
EXACT = ExecutionOptions(dtype="float32")  # on a processor with bfloat16 units `auto` is that


@pytest.fixture(scope="module")
def net():
    return random_net()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, net):
    path = write_checkpoint(tmp_path_factory.mktemp("weights") / "vggish.pth", net)
    yield path
    path.unlink()  # 288 MB


@pytest.fixture(scope="module")
def vggish(checkpoint):
    return Vggish(weights=checkpoint, execution=EXACT)


def windows_of(spectrum: torch.Tensor, starts: list[int]) -> torch.Tensor:
    return torch.stack([spectrum[start : start + 96] for start in starts])[:, None]


def test_size_and_keys_equal_the_published_ones():
    state = VggishNet().state_dict()
    assert sum(v.numel() for v in state.values()) == 72_141_184
    assert len(state) == 18
    assert next(iter(state)) == "features.0.weight"


def test_the_network_equals_torchvggish_without_its_last_relu(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = pytest.importorskip("torchvggish.torchvggish")
    with torch.device("meta"):
        theirs = reference._vgg(postprocess=False).eval()
    theirs.load_state_dict(net.state_dict(), assign=True)
    patches = windows_of(torch.from_numpy(log_mel(voice(2))), [0, 50])
    with torch.inference_mode():
        ours = net(patches)
        expected = theirs(patches)
    torch.testing.assert_close(ours.relu(), expected, rtol=1e-4, atol=1e-5)
    assert (ours < 0).any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_tap_products_equal_a_convolution(mirrored):
    torch.manual_seed(1)
    conv = torch.nn.Conv2d(8, 12, 3, padding=1, bias=False)
    maps = torch.randn(2, 10, 8, 8)  # (N, T, B, C)
    with torch.inference_mode():
        image = maps.flip(1) if mirrored else maps
        expected = conv(image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        expected = expected.flip(1) if mirrored else expected
        dense = TapConv(conv, mirrored).dense(maps)
    torch.testing.assert_close(dense[:, 1:-1], expected[:, 1:-1], rtol=1e-4, atol=1e-4)


GRIDS = {
    "25 Hz": [4 * i for i in range(14)],
    "29.97 Hz": [round(i * 100 * 1001 / 30000) for i in range(14)],
    "every phase": list(range(17)),
    "uneven": [0, 1, 1, 5, 22, 23, 40, 41, 47, 64],
}


@pytest.mark.parametrize("starts", GRIDS.values(), ids=GRIDS)
def test_shared_maps_equal_those_of_single_windows(net, starts):
    torch.manual_seed(len(starts))
    spectrum = torch.randn(max(starts) + 96 + MARGIN, 64) * 1.5 - 2
    with torch.inference_mode():
        shared = SharedFeatures(net)(spectrum, torch.tensor(starts))
        expected = net.features(windows_of(spectrum, starts)).permute(0, 2, 3, 1).flatten(1)
    torch.testing.assert_close(shared, expected, rtol=1e-4, atol=2e-4)


def test_direct_products_equal_single_windows_in_float64(net):
    torch.manual_seed(3)
    with torch.device("meta"):
        double, starts = VggishNet(), [0, 1, 5, 22]
    double.features = copy.deepcopy(net.features).double()
    spectrum = torch.randn(max(starts) + 96 + MARGIN, 64, dtype=torch.float64) * 1.5 - 2
    with torch.inference_mode():
        shared = SharedFeatures(double, torch.float64)(spectrum, torch.tensor(starts))
        expected = double.features(windows_of(spectrum, starts)).permute(0, 2, 3, 1).flatten(1)
    torch.testing.assert_close(shared, expected, rtol=1e-9, atol=1e-9)


def test_shared_maps_in_bfloat16_are_near_those_in_float32(net):
    torch.manual_seed(4)
    spectrum, starts = torch.randn(40 + 96 + MARGIN, 64) * 1.5 - 2, torch.arange(0, 40, 4)
    with torch.inference_mode():
        exact = SharedFeatures(net)(spectrum, starts)
        rounded = SharedFeatures(net, torch.bfloat16)(spectrum, starts)
    assert rounded.dtype == torch.bfloat16
    assert torch.cosine_similarity(exact, rounded.float()).min() > 0.9995


def test_rows_equal_those_of_single_patches(vggish):
    samples = voice(3)
    rows = vggish.extract(sound(samples), TIMES_S)
    starts = first_frames(TIMES_S, "centre")
    inside = np.flatnonzero((starts >= 0) & (starts + 98 < 300))
    spectrum = torch.from_numpy(log_mel(samples))
    with torch.inference_mode():
        expected = [vggish.net(windows_of(spectrum, [int(starts[i])]))[0].numpy() for i in inside[::7]]
    np.testing.assert_allclose(rows[inside[::7]], np.stack(expected), rtol=1e-3, atol=1e-4)


def test_rows_do_not_depend_on_blocks_and_batches(vggish, monkeypatch):
    recording = sound(voice(3))
    whole = vggish.extract(recording, TIMES_S)
    monkeypatch.setattr("vacli.features.vggish.extractor.BLOCK", 33)
    np.testing.assert_allclose(vggish.extract(recording, TIMES_S), whole, rtol=1e-3, atol=1e-4)


def test_distant_windows_use_the_plain_network(vggish, monkeypatch):
    recording, times_s = sound(voice(3)), np.array([0.7, 1.5, 2.4])
    near_s = np.sort(np.concatenate([TIMES_S, times_s]))
    expected = vggish.extract(recording, near_s)[np.searchsorted(near_s, times_s)]
    monkeypatch.setattr(vggish, "shared", None)
    np.testing.assert_allclose(vggish.extract(recording, times_s), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("align", "first_s"), [("centre", -0.4875), ("start", 0.0), ("causal", -0.975)])
def test_position_of_the_window(align, first_s):
    times_s = np.arange(500) / 29.97
    off_s = first_frames(times_s, align) / 100 - (times_s + first_s)
    if align == "causal":  # no window ends after its frame
        assert -0.01 <= off_s.min() <= off_s.max() <= 1e-7
    else:
        assert np.abs(off_s).max() <= 0.005 + 1e-7


def test_causal_does_not_depend_on_later_sound(vggish, monkeypatch):
    samples, changed = voice(3), voice(3)
    changed[2 * RATE_HZ :] = noise(1)
    monkeypatch.setattr(vggish, "align", "causal")
    times_s = np.arange(40, 62) / 25
    before, after = (vggish.extract(sound(s), times_s) for s in (samples, changed))
    np.testing.assert_allclose(before[:11], after[:11], rtol=1e-4, atol=1e-4)
    assert np.abs(before[14:] - after[14:]).max() > 1e-2


def test_start_gives_the_frames_of_the_competition_code():
    assert first_frames(np.arange(5) / 30, "start").tolist() == [0, 3, 7, 10, 13]


def test_a_short_recording_is_padded_not_missing(vggish):
    values, flags = rows_and_flags(vggish, sound(noise(0.3), start_s=0.2, total_s=1.0), np.arange(25) / 25)
    present = (flags != MISSING).nonzero()[0]
    assert present.tolist() == list(range(5, 13))
    assert set(flags[present].tolist()) == {PADDED}
    np.testing.assert_array_equal(np.isnan(values).all(axis=1), flags == MISSING)


def test_postprocessing_equals_that_of_torchvggish(checkpoint, vggish, tmp_path):
    recording, times_s = sound(voice(2)), np.array([0.9, 1.1])
    plain = vggish.extract(recording, times_s)
    pca = write_pca(tmp_path / "pca.pth")
    after = Postprocessing(final_relu=True, pca=True, pca_weights=pca)
    ended = Vggish(weights=checkpoint, postprocessing=after, execution=EXACT)
    rows = ended.extract(recording, times_s)
    tensors = torch.load(pca, weights_only=True)
    vectors, means = tensors["pca_eigen_vectors"].numpy(), tensors["pca_means"].numpy()
    whitened = (vectors @ (plain.clip(min=0).T - means)).T
    assert np.abs(rows - np.round((whitened.clip(-2, 2) + 2) * 255 / 4)).max() <= 1  # a step of rounding
    assert np.array_equal(rows, np.round(rows))
    assert rows.std() > 10
    assert ended.spec.fingerprint() != vggish.spec.fingerprint()


def test_wrong_weights_are_named(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.zeros(64, 1, 3, 3)}, path)
    with pytest.raises(WeightsError, match=r"features\.0\.bias is missing"):
        Vggish(weights=path)
    with pytest.raises(UsageError, match="unknown alignment"):
        create("vggish", weights=path, align="center")


def test_published_smoke_test():
    """vggish_smoke_test.py of tensorflow/models: 1 kHz for 3 s, mean 0.000657, std 0.343, within 10 %."""
    given = Path(os.environ.get("VA_VGGISH_WEIGHTS", "vggish-10086976.pth"))
    if not given.is_file():
        pytest.skip("needs the published weights (set VA_VGGISH_WEIGHTS to vggish-10086976.pth)")
    tone = np.sin(2 * np.pi * 1000 * np.arange(3 * RATE_HZ) / RATE_HZ).astype(np.float32)
    rows = Vggish(weights=given, align="start").extract(sound(tone), np.array([0.0, 0.96, 1.92]))
    assert rows.mean() == pytest.approx(0.000657, rel=0.1)
    assert rows.std() == pytest.approx(0.343, rel=0.1)


@pytest.mark.parametrize(("align", "ahead_s"), [("causal", 0.0), ("centre", 0.5)])
def test_rows_of_a_live_sound_equal_those_of_the_whole_sound(vggish, align, ahead_s, monkeypatch):
    monkeypatch.setattr(vggish, "align", align)
    samples = voice(8)
    times_s = np.array([0.04, 0.5, 1.234, 2.0, 7.3])
    whole = vggish.extract(sound(samples), times_s)
    stream, position = vggish.live(), 0
    assert np.isnan(stream.row(0.0)[0]).all()
    for time_s, wanted in zip(times_s, whole, strict=True):
        end = round((time_s + ahead_s) * RATE_HZ)
        for first in range(position, end, 320):
            stream.add(samples[first : min(first + 320, end)])
        position = end
        row, is_final = stream.row(time_s)
        assert is_final
        assert stream.is_final(time_s)
        np.testing.assert_allclose(row, wanted, rtol=1e-3, atol=1e-4 * np.abs(whole).max())
    row, is_final = stream.row(times_s[-1] + 1)  # the latest whole window
    assert not is_final
    assert np.isfinite(row).all()
    assert len(stream._samples) < 8 * RATE_HZ
