"""torch 2.2 lacks names of later versions."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import vacli

MODULE = Path(vacli.__file__).parent / "runtime" / "torch_versions.py"
LATER = ("get_autocast_dtype", "is_autocast_enabled", "torch.OutOfMemoryError", "compiler.is_compiling")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("is_old", [False, True])
def test_names_of_this_torch_and_of_torch_2_2(is_old: bool, monkeypatch):
    torch = pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("torch_versions_again", MODULE)
    module = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patch:
        if is_old:
            patch.delattr(torch, "get_autocast_dtype", raising=False)
            patch.delattr(torch, "OutOfMemoryError", raising=False)
            patch.delattr(torch.compiler, "is_compiling", raising=False)
        spec.loader.exec_module(module)
    assert module.autocast_dtype("cpu") is None
    assert module.autocast_dtype("cuda") is None
    with torch.autocast("cpu", torch.bfloat16):
        assert module.autocast_dtype("cpu") == torch.bfloat16
        assert module.autocast_dtype("cuda") is None
    assert module.OutOfMemoryError.__name__ == "OutOfMemoryError"
    assert not module.is_compiling()


def test_no_other_module_uses_the_later_names():
    files = set(MODULE.parents[1].rglob("*.py")) - {MODULE}
    assert [f"{file}: {name}" for file in files for name in LATER if name in file.read_text("utf-8")] == []
