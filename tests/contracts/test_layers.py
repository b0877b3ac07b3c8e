"""The rooms of the house: imports point down, and the command line stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vacli
from vacli.datasets.audio_augmentation import write_wav

PACKAGE = Path(vacli.__file__).parent
# Top to bottom; rooms of one line do not know each other.
LAYERS = (
    ("cli",),
    ("api",),
    ("steps",),
    ("pipeline",),
    ("output",),
    ("evaluation",),
    ("training",),
    ("inference",),
    ("models", "sequences"),
    ("datasets",),
    ("store",),
    ("features",),
    ("faces",),
    ("media",),
    ("recipe", "runtime"),
    ("files",),
    ("clock", "spec", "progress", "metrics", "circumplex", "packages"),
    ("errors",),
)
ENTRY_POINTS = ("__init__", "__main__")  # the version, and `python -m vacli`
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
TORCH_AT_TOP = ("models", "training", "features")
TORCH_FILES = (
    "sequences/dataset.py",
    "inference/torch_predictor.py",
    "runtime/devices.py",
    "runtime/torch_versions.py",
)
HEAVY = (
    "torch",
    "zarr",
    "numpy",
    "av",
    "decord",
    "rich",
    "timm",
    "onnxruntime",
    "PIL",
    "scipy",
    "matplotlib",
    "jinja2",
)


def modules() -> list[Path]:
    entries = [PACKAGE / f"{name}.py" for name in ENTRY_POINTS]
    return sorted(p for p in PACKAGE.rglob("*.py") if p not in entries)


def room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = room(path)
    for name in imported(ast.parse(path.read_text())):
        package, _, inner = name.partition(".")
        other = inner.split(".")[0]
        if package != "vacli" or other in ("", "__version__"):
            continue
        assert other == own or LEVEL[own] < LEVEL[other], f"{path.name} ({own}) imports {name} ({other})"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_room_keeps_to_its_libraries(path):
    tree = ast.parse(path.read_text())
    everywhere = {name.split(".")[0] for name in imported(tree)}
    top = ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
    at_top = {name.split(".")[0] for name in imported(top)}
    own = room(path)
    assert "zarr" not in everywhere or own == "store"
    assert not {"rich", "click"} & everywhere or own == "cli"
    assert "cv2" not in everywhere
    if own not in TORCH_AT_TOP and str(path.relative_to(PACKAGE)) not in TORCH_FILES:
        assert "torch" not in at_top


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_stay_short(path):
    assert len(path.read_text().splitlines()) <= 300


def test_the_command_line_loads_nothing_heavy():
    code = "import sys, vacli.cli.main; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(loaded.stdout.split())


def test_the_bundled_model_runs_without_slow_imports(tmp_path):
    sound = tmp_path / "quiet.wav"
    write_wav(sound, np.zeros(16000, np.float32))
    code = (
        "import sys; from pathlib import Path\n"
        "from vacli.steps.predict import PredictSettings, run\n"
        f"tables = []; run(PredictSettings(inputs=(Path({str(sound)!r}),)), tables.append)\n"
        "print(len(tables[0]), *({'torch', 'zarr', 'scipy.ndimage', 'scipy.signal'} & sys.modules.keys()))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["25"]
