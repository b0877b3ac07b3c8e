"""The Triton kernels, through Triton's interpreter on a CPU, and on a GPU where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from synth import mamba_layers as layers
from synth.scans import apart, doubled, results, scan_inputs

from vacli.models.heads import zero_padding

pytest.importorskip("triton", reason="needs Triton, which torch brings on Linux")

from vacli.models import mamba_recomputed

# Small chunks and tiles: the interpreter takes every element of a scan in Python.
INTERPRETED = """
import sys, torch
from synth.scans import apart, doubled, results, scan_inputs
from vacli.models import scan_triton
scan_triton.CHUNK, scan_triton.TILE = 4, 32
for shape in [(1, 6, 3, 3), (2, 4, 1, 2)]:
    inputs = scan_inputs(shape)
    error = apart(results(inputs, "triton"), results(doubled(inputs), "reference"))
    if not error < 1e-5:
        sys.exit(f"{shape}: {error}")
from synth.mamba_layers import case, layer
from synth.mamba_layers import results as of_layer
from vacli.models import mamba_recomputed
from vacli.models.heads import zero_padding
net, x, mask = case((2, 6, 4, 3, 3))
kept = {}
def note(tensor):
    kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return tensor
def run(x):
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        return mamba_recomputed.layer(x, mask, net.weights())
got = of_layer(run, net, x)
exact = layer(4, 3, 3).double()
want = of_layer(lambda x: exact.plain(zero_padding(x, mask), mask), exact, x.double())
error = apart(got, want)
if not error < 1e-5:
    sys.exit(f"layer: {error}")
frame, checkpoint = x.shape[-1] + net.dt_rank + 2 * net.d_state, net.inner * net.d_state
bytes = 4 * (sum(p.numel() for p in net.parameters()) + 2 * (6 * frame + 2 * checkpoint)) + mask.numel()
if sum(kept.values()) > bytes:
    sys.exit(f"{sum(kept.values())} bytes are kept, not {bytes}")
"""


def test_interpreted_kernels_and_layer_agree_with_float64_and_the_layer_keeps_little():
    here = Path(__file__)
    path = os.pathsep.join([str(here.parents[1]), str(here.parents[2]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 70, 40, 8), (2, 300, 256, 32)])
def test_kernels_agree_with_float64_on_a_gpu(shape):
    inputs = scan_inputs(shape)
    on_gpu = [t.detach().cuda().requires_grad_() for t in inputs]
    got = [t.cpu() for t in results(on_gpu, "triton")]
    assert apart(got, results(doubled(inputs), "reference")) < 1e-5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_recomputed_layer_agrees_with_float64_on_a_gpu():
    net, x, mask = layers.case((2, 70, 48, 8, 4))
    exact = layers.layer(48, 8, 4).double()
    want = layers.results(lambda x: exact.plain(zero_padding(x, mask), mask), exact, x.double())
    net, x, mask = net.cuda(), x.cuda(), mask.cuda()
    got = layers.results(lambda x: mamba_recomputed.layer(x, mask, net.weights()), net, x)
    assert apart([t.cpu() for t in got], want) < 1e-5
    assert torch.equal(net(x, mask), got[0])


@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
@pytest.mark.parametrize("name", ["_forward_kernel", "_backward_kernel"])
def test_kernels_compile_without_a_gpu(name):
    """Triton includes an assembler: code that a GPU would refuse fails here."""
    from triton import compile as compiled
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from vacli.models import scan_triton

    kernel, sizes = getattr(scan_triton, name), scan_triton._sizes(states=8)
    kinds = {"length": "i32", "channels": "i32", **dict.fromkeys(sizes, "constexpr")}
    signature = {argument: kinds.get(argument, "*fp32") for argument in kernel.arg_names}
    constants = {(kernel.arg_names.index(argument),): value for argument, value in sizes.items()}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    assert len(compiled(source, target=GPUTarget("cuda", 80, 32)).asm["cubin"]) > 1000
