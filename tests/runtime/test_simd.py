"""Vectors in compiled loops against NumPy in float64, with the processor's instructions and without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from synth import vectors

TESTS = Path(__file__).resolve().parents[1]


def test_functions_have_a_relative_error_below_1e_6():
    vectors.check(1e-6)


def test_two_to_the_zero_is_one():
    assert vectors.functions(np.zeros(16, np.float32))[0].tolist() == [1.0] * 16


def test_functions_run_on_a_processor_without_vector_instructions(tmp_path):
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    subprocess.run(
        [sys.executable, "-m", "synth.vectors"], env=os.environ | plain | {"PYTHONPATH": path}, check=True
    )
