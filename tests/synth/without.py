"""`va` in a process in which some packages cannot be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# Optional packages, which `pip install .` does not install.
OPTIONAL = (
    "torch",
    "torchvision",
    "timm",
    "onnx",
    "huggingface_hub",
    "tensorboard",
    "triton",
    "decord",
    "cv2",
    "skimage",
)

_CODE = """
import contextlib, io, json, sys
from importlib.machinery import PathFinder
hidden, lines = map(json.loads, sys.argv[1:])
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else PathFinder.find_spec(name, path, target)
    find_distributions = staticmethod(PathFinder.find_distributions)
sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
from vacli.cli.main import run
results = []
for line in lines:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(line)
    results.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(results))
"""


class Answer(NamedTuple):
    """The result of a command."""

    code: int
    out: str
    err: str


def va(lines: Sequence[str], cwd: Path, hidden: Sequence[str] = OPTIONAL) -> dict[str, Answer]:
    """Run commands one after another on the CPU, in one process that cannot find the packages `hidden`."""
    arguments = [json.dumps(list(hidden)), json.dumps([line.split() for line in lines])]
    environment = {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", _CODE, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {line: Answer(*result) for line, result in zip(lines, json.loads(done.stdout), strict=True)}
