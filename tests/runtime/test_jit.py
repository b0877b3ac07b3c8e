from __future__ import annotations

import subprocess
import sys

import numba

from vacli.runtime import jit


def test_without_a_cache_folder_functions_are_compiled(monkeypatch):
    def njit(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    assert jit.compiled()(abs).machine_code is abs


def test_compiled_functions_call_each_other():
    double = jit.compiled(lambda types: types.int64(types.int64))(lambda x: 2 * x)
    fourfold = jit.compiled()(lambda x: double(double(x)))
    assert fourfold(3) == 12
    assert double.machine_code.nopython_signatures == [numba.int64(numba.int64)]


def exit_code(code: str) -> int:
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_without_blas_numba_works_and_scipy_stays_intact():
    code = (
        "import sys; from vacli.runtime import jit; jit.load_blas = False;"
        "assert jit.compiled()(lambda x: 2 * x)(2) == 4; assert 'scipy.linalg' not in sys.modules;"
        "import scipy.linalg.cython_blas"
    )
    assert exit_code(code) == 0


def test_prediction_imports_no_numba():
    """Importing numba takes longer than the rest of a prediction."""
    code = (
        "import sys; from vacli.steps import predict; from vacli.inference.run import BUNDLED, load_run;"
        "load_run(BUNDLED); sys.exit('numba' in sys.modules or 'scipy' in sys.modules)"
    )
    assert exit_code(code) == 0
