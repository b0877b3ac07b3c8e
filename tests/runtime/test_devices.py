"""Devices that cannot be used are refused in one short line."""

from __future__ import annotations

import pytest

from vacli.errors import UsageError


@pytest.mark.parametrize("name", ["mps", "cuda:99", "gpu"])
def test_a_device_that_cannot_be_used_is_refused_in_a_short_line(name):
    torch = pytest.importorskip("torch")
    from vacli.runtime.devices import pick_device

    if name == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has it")
    with pytest.raises(UsageError, match=f"device '{name}' cannot be used") as caught:
        pick_device(name)
    assert len(caught.value.one_line()) < 300
