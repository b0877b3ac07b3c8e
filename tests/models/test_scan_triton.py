"""The Triton kernels, through Triton's interpreter on a CPU, and on a GPU where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from synth.scans import apart, doubled, results, scan_inputs

pytest.importorskip("triton", reason="needs Triton, which torch brings on Linux")

# Small chunks and tiles: the interpreter takes every element of a scan in Python.
INTERPRETED = """
import sys
from synth.scans import apart, doubled, results, scan_inputs
from vacli.models import scan_triton
scan_triton.CHUNK, scan_triton.TILE = 4, 32
for shape in [(1, 6, 3, 3), (2, 4, 1, 2)]:
    inputs = scan_inputs(shape)
    error = apart(results(inputs, "triton"), results(doubled(inputs), "reference"))
    if not error < 1e-5:
        sys.exit(f"{shape}: {error}")
"""


def test_interpreted_kernels_agree_with_float64_in_outputs_state_and_gradients():
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
