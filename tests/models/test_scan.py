"""The selective scan: every backend against the recurrence in float64."""

from __future__ import annotations

import math
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synth.scans import apart, doubled, results, scan_inputs

from vacli.errors import UsageError
from vacli.models import scan as scan_module
from vacli.models import scan_loops
from vacli.models.scan import fastest, selective_scan
from vacli.runtime.torch_versions import OutOfMemoryError

SHAPES = [
    (1, 1, 1, 1),
    (2, 32, 5, 3),  # one checkpoint exactly
    (2, 67, 40, 8),  # a short last segment
    (1, 5, 300, 8),  # more channels than a block
    (3, 33, 130, 32),  # blocks cut smaller because of many states
]


def test_reference_equals_plain_loops():
    x, dt, a, b, c, h = (t.detach().numpy() for t in scan_inputs((2, 4, 3, 2), torch.float64))
    y, last = selective_scan(*map(torch.from_numpy, (x, dt, a, b, c, h)), backend="reference")
    for i in range(2):
        for e in range(3):
            state = list(h[i, e])
            for t in range(4):
                for n in range(2):
                    decay = math.exp(dt[i, t, e] * a[e, n])
                    state[n] = decay * state[n] + dt[i, t, e] * b[i, t, n] * x[i, t, e]
                assert y[i, t, e].item() == pytest.approx(state[0] * c[i, t, 0] + state[1] * c[i, t, 1])
            assert last[i, e].tolist() == pytest.approx(state)


@pytest.mark.parametrize("shape", SHAPES)
def test_compiled_scan_agrees_with_float64_in_outputs_state_and_gradients(shape):
    inputs = scan_inputs(shape)
    assert apart(results(inputs, "numba"), results(doubled(inputs), "reference")) < 1e-5


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_reference_in_float32_agrees_with_float64(shape):
    inputs = scan_inputs(shape)
    assert apart(results(inputs, "reference"), results(doubled(inputs), "reference")) < 1e-5


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_extreme_decays_and_steps_stay_finite(backend):
    inputs = scan_inputs((2, 40, 4, 3))
    with torch.no_grad():
        inputs[1][0] *= 1e4  # exp(-1e4 ...): the state is lost in one step
        inputs[1][1] = 0.0  # the state does not change
    got = results(inputs, backend)
    assert all(t.isfinite().all() for t in got)
    assert torch.equal(got[1][1], inputs[5][1].detach())
    assert apart(got, results(doubled(inputs), "reference")) < 1e-5


@settings(max_examples=15, deadline=None)
@given(length=st.integers(2, 80), cut=st.integers(1, 79), seed=st.integers(0, 99))
def test_segments_with_carried_state_equal_the_whole(length, cut, seed):
    cut = min(cut, length - 1)
    with torch.no_grad():
        x, dt, a, b, c, h = scan_inputs((2, length, 6, 4), seed=seed)
        whole, last = selective_scan(x, dt, a, b, c, h, backend="numba")
        one, h = selective_scan(x[:, :cut], dt[:, :cut], a, b[:, :cut], c[:, :cut], h, backend="numba")
        two, h = selective_scan(x[:, cut:], dt[:, cut:], a, b[:, cut:], c[:, cut:], h, backend="numba")
    assert apart([torch.cat([one, two], 1), h], [whole, last]) < 1e-6


def test_result_does_not_depend_on_threads():
    inputs = scan_inputs((3, 40, 10, 4))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = results(inputs, "numba")
        torch.set_num_threads(3)
        three = results(inputs, "numba")
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(p, q) for p, q in zip(one, three, strict=True))


def test_memory_of_100000_steps_is_close_to_that_of_the_inputs():
    inputs = scan_inputs((1, 100_000, 4, 8))
    kept: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        y, last = selective_scan(*inputs, backend="numba")
    gradients = torch.autograd.grad([y, last], inputs, [torch.ones_like(y), torch.ones_like(last)])
    given_numbers = sum(t.numel() for t in inputs)
    assert sum(kept) <= given_numbers + 100_000 * 4 * 8 / scan_loops.CHECKPOINT_STRIDE + 4 * 8
    assert all(g.isfinite().all() for g in gradients)
    # The first 90,000 steps have decayed: the reference can leave them out.
    x, dt, a, b, c, _ = (t.detach() for t in inputs)
    x, dt, b, c = (t[:, -9000:] for t in (x, dt, b, c))
    want, _ = selective_scan(x, dt, a, b, c, backend="reference")
    assert apart([y.detach()[:, -1000:]], [want[:, -1000:]]) < 1e-5


def test_zero_steps_return_the_initial_state():
    inputs = scan_inputs((2, 0, 3, 2))
    for backend in ("reference", "numba"):
        y, last = selective_scan(*inputs, backend=backend)
        assert y.shape == (2, 0, 3)
        assert torch.equal(last, inputs[5])


def test_state_is_float32_under_autocast():
    inputs = scan_inputs((2, 300, 8, 4))
    want, _ = selective_scan(*doubled(inputs), backend="reference")
    rounded = [t.detach().bfloat16() if i in (0, 3, 4) else t for i, t in enumerate(inputs)]
    exact, _ = selective_scan(*doubled(rounded), backend="reference")
    with torch.autocast("cpu", torch.bfloat16):
        y, last = selective_scan(*rounded)
    assert (y.dtype, last.dtype) == (torch.bfloat16, torch.float32)
    # Only the inputs and the output are rounded (2^-9 each), nothing grows over 300 steps.
    assert apart([y.double()], [exact]) < 4e-3
    assert apart([y.double()], [want]) < 2e-2


def test_power_of_two_has_a_relative_error_below_1e_6():
    v = np.linspace(-126, 0, 4001, dtype=np.float32)
    got = np.array([scan_loops.power_of_two(value) for value in v])
    assert np.abs(got / np.exp2(v.astype(np.float64)) - 1).max() < 3e-7
    assert 0 < scan_loops.power_of_two(np.float32(-1e30)) < 2e-38
    assert scan_loops.power_of_two(np.float32(0)) == 1


@pytest.fixture
def fresh_backends():
    scan_module._load.cache_clear()
    yield
    scan_module._load.cache_clear()


@pytest.mark.usefixtures("fresh_backends")
def test_without_numba_the_reference_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "vacli.models.scan_numba", None)
    assert fastest("cpu", torch.float32, fresh=True).__module__ == "vacli.models.scan_reference"


@pytest.mark.usefixtures("fresh_backends")
def test_fastest_backend_per_device():
    def name(*args, **kwargs):
        return fastest(*args, **kwargs).__module__.rsplit("_", 1)[-1]

    assert name("cpu", torch.float32, fresh=False) == "numba"
    assert name("cpu", torch.float64, fresh=False) == "reference"
    assert name("mps", torch.float32, fresh=False) == "reference"


@pytest.mark.usefixtures("fresh_backends")
@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError])
def test_a_broken_mamba_ssm_is_skipped(monkeypatch, error):
    def broken(name: str) -> ModuleType:
        if name.endswith("mamba_ssm"):
            raise error("undefined symbol")
        return sys.modules.setdefault(name, ModuleType(name))

    reference = fastest("cpu", torch.float64, fresh=True)
    monkeypatch.setattr(scan_module, "import_module", broken)
    monkeypatch.setitem(sys.modules, "vacli.models.scan_triton", ModuleType("no scan in here"))
    assert fastest("cuda", torch.float32, fresh=True) is reference


def test_mamba_ssm_gets_its_layout(monkeypatch):
    """A stand-in with that package's signature and layout: (B, E, L), (B, N, L)."""

    def selective_scan_fn(u, delta, a, b, c, return_last_state):
        assert return_last_state
        assert all(t.is_contiguous() for t in (u, delta, b, c))
        x, dt, b, c = (t.transpose(1, 2) for t in (u, delta, b, c))
        y, last = selective_scan(x, dt, a, b, c, backend="reference")
        return y.transpose(1, 2), last

    for name in ("mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.selective_scan_interface"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["mamba_ssm.ops.selective_scan_interface"].selective_scan_fn = selective_scan_fn
    monkeypatch.delitem(sys.modules, "vacli.models.scan_mamba_ssm", raising=False)
    scan_module._load.cache_clear()
    try:
        inputs = [*scan_inputs((2, 9, 5, 3))[:5], torch.zeros(2, 5, 3, requires_grad=True)]
        y, last = selective_scan(*inputs, backend="mamba_ssm")
        want = selective_scan(*inputs, backend="reference")
        assert apart([y, last], list(want)) < 1e-6
    finally:
        sys.modules.pop("vacli.models.scan_mamba_ssm", None)
        scan_module._load.cache_clear()


@pytest.fixture
def failing_mamba_ssm(monkeypatch):
    """mamba_ssm as the first choice on a CPU; its scan raises, as that of a wrong build does."""
    calls = []

    def scan(*inputs):
        calls.append(inputs)
        raise RuntimeError("selective_scan_cuda\nis not installed")

    scan.__module__ = "vacli.models.scan_mamba_ssm"
    plain = scan_module._load

    def candidates(device, dtype, fresh):
        return iter(("mamba_ssm", "reference"))

    monkeypatch.setattr(scan_module, "_load", lambda name: scan if name == "mamba_ssm" else plain(name))
    monkeypatch.setattr(scan_module, "_candidates", candidates)
    monkeypatch.setattr(scan_module, "_failed", set())
    return calls


def test_mamba_ssm_that_fails_when_called_is_replaced_with_one_warning(failing_mamba_ssm, caplog):
    inputs = scan_inputs((2, 9, 5, 3))[:5]
    want = selective_scan(*inputs, backend="reference")
    for _ in range(3):
        assert apart(list(selective_scan(*inputs)), list(want)) < 1e-6
    assert len(failing_mamba_ssm) == 1
    (record,) = caplog.records
    assert record.getMessage() == (
        "mamba_ssm failed (RuntimeError: selective_scan_cuda is not installed); another scan is used, "
        "install mamba-ssm for this torch"
    )


def test_mamba_ssm_that_is_asked_for_by_name_raises_its_error(failing_mamba_ssm):
    with pytest.raises(RuntimeError, match="selective_scan_cuda"):
        selective_scan(*scan_inputs((1, 2, 2, 2))[:5], backend="mamba_ssm")


def test_lack_of_memory_is_not_a_failure_of_mamba_ssm(monkeypatch, failing_mamba_ssm):
    def scan(*inputs):
        raise OutOfMemoryError("out of memory")

    scan.__module__ = "vacli.models.scan_mamba_ssm"
    monkeypatch.setattr(scan_module, "_load", lambda name: scan)
    with pytest.raises(OutOfMemoryError):
        selective_scan(*scan_inputs((1, 2, 2, 2))[:5])


def test_unknown_backend_is_an_error():
    with pytest.raises(UsageError, match="scan backend 'nunba' is not available"):
        selective_scan(*scan_inputs((1, 2, 2, 2)), backend="nunba")


def test_importing_the_models_does_not_import_numba():
    code = "import sys, vacli.models.build; sys.exit('numba' in sys.modules or 'triton' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
