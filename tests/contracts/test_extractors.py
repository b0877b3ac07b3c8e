"""Every name in the table of extractors leads to a class that keeps the contract."""

from __future__ import annotations

import importlib
import inspect

import pytest

from vacli.errors import UsageError
from vacli.features.registry import EXTRACTORS, create

WITH_TORCH = ("mae-vit-l", "resnet50", "vggish")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.torch] if name in WITH_TORCH else []) for name in EXTRACTORS],
)
def test_the_class_is_there(name):
    module, _, attribute = EXTRACTORS[name].partition(":")
    extractor = getattr(importlib.import_module(module), attribute)
    assert callable(extractor.extract)
    takes = list(inspect.signature(extractor.extract).parameters)
    assert takes in (["self", "crops"], ["self", "sound", "times_s"])
    assert extractor.__doc__


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        create("egemap")
    assert "egemaps" in caught.value.one_line()
