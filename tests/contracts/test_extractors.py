"""Every entry of the table of extractors leads to a class that keeps the protocol of its modality."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import vacli
from vacli.errors import PackageMissing, UsageError
from vacli.features import registry
from vacli.features.registry import (
    EXTRACTORS,
    create,
    create_audio,
    create_visual,
    default_names,
    names,
    recreate,
)
from vacli.features.weights import WEIGHTS
from vacli.spec import AUDIO, VISUAL

ARGUMENTS = {VISUAL: ["self", "crops"], AUDIO: ["self", "sound", "times_s"]}
PACKAGE = Path(vacli.__file__).parent


def extractor_class(name):
    """The class of an entry; skips the test where a package is missing that the class needs."""
    try:
        return registry._load(EXTRACTORS[name].path)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "timm"):
            raise
        pytest.skip(f"needs {error.name}")


@pytest.mark.parametrize("name", EXTRACTORS)
def test_the_class_keeps_the_protocol(name):
    extractor = extractor_class(name)
    assert list(inspect.signature(extractor.extract).parameters) == ARGUMENTS[EXTRACTORS[name].modality]
    assert extractor.__doc__
    for option in inspect.signature(extractor).parameters.values():
        assert option.default is not option.empty, option.name


@pytest.mark.parametrize("name", EXTRACTORS)
def test_the_entry_is_complete(name):
    entry = EXTRACTORS[name]
    assert entry.modality in (VISUAL, AUDIO)
    assert entry.licence
    assert entry.help
    assert "\n" not in entry.help


@pytest.mark.parametrize(
    "name", [n for n in EXTRACTORS if n not in WEIGHTS or WEIGHTS[n].source == "package"]
)
def test_the_identity_agrees_with_the_entry(name):
    try:
        extractor = create(name)
    except PackageMissing as error:
        pytest.skip(str(error))
    entry = EXTRACTORS[name]
    assert (extractor.spec.name, extractor.spec.modality) == (name, entry.modality)
    assert extractor.spec.licence in ("", entry.licence)
    dim = extractor.spec.dim
    assert entry.help.endswith(f": {dim} value" + ("s" if dim > 1 else ""))


@pytest.mark.parametrize(
    "name", [n for n in EXTRACTORS if n not in WEIGHTS or WEIGHTS[n].source == "package"]
)
def test_an_extractor_is_made_again_from_its_settings(name):
    try:
        spec = create(name).spec
    except PackageMissing as error:
        pytest.skip(str(error))
    again = recreate(f"{name}@again", spec.settings, {}, {"unknown": 1}).spec
    assert again == replace(spec, name=f"{name}@again")


def test_weights_and_entries_state_the_same_licence():
    for name in EXTRACTORS.keys() & WEIGHTS.keys():
        assert WEIGHTS[name].licence == EXTRACTORS[name].licence


def test_one_visual_feature_is_the_default():
    assert len(default_names(VISUAL)) == 1
    assert default_names(AUDIO)
    assert set(names(VISUAL)) | set(names(AUDIO)) == set(EXTRACTORS)


def test_the_defaults_of_the_commands_are_those_of_the_table():
    from vacli.steps.extract_audio import ExtractAudioSettings
    from vacli.steps.extract_visual import ExtractVisualSettings

    assert ExtractVisualSettings(inputs=()).feature == default_names(VISUAL)[0]
    assert ExtractAudioSettings(inputs=()).features == default_names(AUDIO)


@pytest.mark.parametrize("place", ["steps/extract_visual.py", "steps/extract_audio.py", "cli/extraction.py"])
def test_no_command_lists_extractors(place):
    texts = {
        n.value for n in ast.walk(ast.parse((PACKAGE / place).read_text())) if isinstance(n, ast.Constant)
    }
    assert not texts & EXTRACTORS.keys()


@pytest.mark.parametrize(("command", "modality"), [("extract-visual", VISUAL), ("extract-audio", AUDIO)])
def test_help_describes_every_extractor(command, modality):
    line = [sys.executable, "-m", "vacli", command, "--help"]
    shown = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    for name in names(modality):
        assert f"  {name:19} {EXTRACTORS[name].help}" in shown


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError) as caught:
        create("egemap")
    assert "egemaps" in caught.value.one_line()


def test_a_feature_of_the_other_modality_is_refused():
    with pytest.raises(UsageError, match="is an audio feature"):
        create_visual("mfcc39", {})
    with pytest.raises(UsageError, match="no audio feature called 'compact'"):
        create_audio("compact", {})


def test_an_option_that_a_visual_feature_lacks_is_refused():
    with pytest.raises(UsageError, match="compact has no option normalise"):
        create_visual("compact", {"normalise": "paper"})


def test_an_audio_feature_gets_the_options_that_it_has():
    if importlib.util.find_spec("opensmile") is None:
        pytest.skip("needs openSMILE")
    extractor = create_audio("gemaps-functionals", {"window_s": 0.5, "align": "causal"})
    assert extractor.spec.settings["window_s"] == 0.5
