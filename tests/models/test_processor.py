"""Whose processor this is, from each system's description of it."""

from __future__ import annotations

import pytest
import torch

from vacli.models import processor
from vacli.models.processor import AMD, INTEL, multiplies_with_mkl_on


@pytest.fixture(autouse=True)
def forget_the_processor():
    processor._description.cache_clear()
    yield
    processor._description.cache_clear()


@pytest.mark.parametrize(
    ("described", "with_mkl", "want"),
    [
        ("vendor_id\t: GenuineIntel\n", True, [INTEL]),
        ("vendor_id\t: GenuineIntel\n", False, []),
        ("vendor_id\t: AuthenticAMD\n", True, [AMD]),
        ("CPU implementer\t: 0x41\n", True, []),
        (None, True, [INTEL]),
    ],
)
def test_the_vendor_with_whose_library_torch_multiplies(described, with_mkl, want, monkeypatch):
    def read_text(path):
        if described is None:
            raise FileNotFoundError(path)
        return described

    monkeypatch.setattr(processor.Path, "read_text", read_text)
    monkeypatch.setattr(processor.platform, "processor", lambda: "Intel64 Family 6, GenuineIntel")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: with_mkl)
    assert [vendor for vendor in (INTEL, AMD) if multiplies_with_mkl_on(vendor)] == want
