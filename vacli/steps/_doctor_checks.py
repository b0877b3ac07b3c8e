"""The checks of `va doctor`. Each imports what it checks, so that a broken package fails one check only."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from vacli import __version__
from vacli.packages import EXTRAS, installed
from vacli.runtime.concurrency import n_cores
from vacli.steps._doctor_finding import NOTE, OK, PROBLEM, Finding, one_line
from vacli.steps._doctor_weights import check_bundled_weights, check_published_weights

MIN_PYTHON = (3, 11)
REQUIRED_PACKAGES = {  # import name -> distribution
    "click": "click",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "PIL": "pillow",
    "rich": "rich",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "simplejpeg": "simplejpeg",
    "tabulate": "tabulate",
    "zarr": "zarr",
}
DECODERS = ("h264", "hevc", "vp9", "mpeg4", "aac", "mp3", "opus", "pcm_s16le")
MIN_FREE_BYTES = 1_000_000_000
PREDICTION_S = 1.0  # length of the clip
EXPECTED_CELLS = ('"face_detected": 1', '"speech_present": 1')  # of its predictions
TIMEOUT_S = 300.0  # the first prediction also compiles
PACKAGE_PARENT = Path(__file__).parents[2]


def check_python() -> Finding:
    """The version of Python, and the processor."""
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, va {__version__}"
    if sys.version_info < MIN_PYTHON:
        return Finding(PROBLEM, text, f"install Python {'.'.join(map(str, MIN_PYTHON))} or later")
    return Finding(OK, text)


def check_cores() -> Finding:
    """The cores and the memory of this process."""
    text = f"{n_cores()} cores"
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        text += f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.1f} GB of memory"
    limits = [f"{n}={os.environ[n]}" for n in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS") if n in os.environ]
    return Finding(OK, ", ".join([text, *limits]))


def check_packages() -> Finding:
    """The packages that every installation has; all that cannot be imported are named."""
    versions, broken = [], []
    for name, distribution in REQUIRED_PACKAGES.items():
        try:
            importlib.import_module(name)
            versions.append(f"{name} {metadata.version(distribution)}")
        except Exception as error:
            broken.append(f"{name} cannot be imported: {one_line(error)}")
    if broken:
        return Finding(PROBLEM, "; ".join(broken), "install `va` again in a new environment")
    return Finding(OK, ", ".join(versions))


def check_ffmpeg() -> Finding:
    """PyAV, the FFmpeg libraries in it, and the usual decoders."""
    import av

    version = getattr(av, "ffmpeg_version_info", "")
    text = f"PyAV {av.__version__}, FFmpeg {version}"
    missing = [name for name in DECODERS if name not in av.codecs_available]
    if missing:
        advice = "pip install --force-reinstall av, which brings FFmpeg with all of them"
        return Finding(NOTE, f"{text}; no decoder for {', '.join(missing)}", advice)
    return Finding(OK, text)


def check_onnxruntime() -> Finding:
    """ONNX Runtime, and whether it opens the face detector of the package."""
    from vacli.features.downloads import PACKAGE
    from vacli.runtime.onnx import open_session

    open_session(PACKAGE / "compact-face.onnx", 1)
    return Finding(OK, f"onnxruntime {metadata.version('onnxruntime')}")


def check_opensmile() -> Finding:
    """The package opensmile, whose library computes the audio features."""
    from vacli.features.opensmile.binding import load_library

    load_library()
    return Finding(OK, f"opensmile {metadata.version('opensmile')}")


def check_numba() -> Finding:
    """Numba, and whether its compiled loops are kept between runs."""
    import numba

    text = f"numba {numba.__version__}"
    advice = "set NUMBA_CACHE_DIR to a folder that is writable; without it each run compiles for about 10 s"
    try:
        probe: Any = numba.njit(cache=True)(_cached)
        folder = Path(probe._cache.cache_path)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Finding(OK, f"{text}, compiled loops are kept in {folder}")
    except (RuntimeError, OSError) as error:
        return Finding(NOTE, f"{text}; compiled loops are not kept: {one_line(error)}", advice)


def _cached() -> None:
    """A function whose place in numba's cache is asked for."""


def check_gpu() -> Finding:
    """Torch, and a GPU if there is one."""
    has_driver = shutil.which("nvidia-smi") is not None
    if not installed("torch"):
        text = "torch is not installed: prediction with the bundled model runs on the CPU"
        return Finding(NOTE if has_driver else OK, text, "pip install 'vacli[train]' to train or use a GPU")
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 1e9
        return Finding(OK, f"torch {torch.__version__}, {torch.cuda.get_device_name(0)}, {memory:.0f} GB")
    text = f"torch {torch.__version__}, no GPU that it can use"
    advice = "install a torch that fits the driver: https://pytorch.org" if has_driver else ""
    return Finding(NOTE if has_driver else OK, text, advice)


def check_mamba() -> Finding:
    """The optional package mamba-ssm."""
    if not installed("mamba_ssm"):
        return Finding(OK, "mamba-ssm is not installed: the scans of this package are used")
    import mamba_ssm

    return Finding(OK, f"mamba-ssm {mamba_ssm.__version__}")


def check_extras() -> Finding:
    """The extras of the package: installed, or how to install them."""
    absent: dict[str, list[str]] = {}
    for package, extra in EXTRAS.items():
        if not installed(package):
            absent.setdefault(extra, []).append(package)
    extras = dict.fromkeys(EXTRAS.values())
    complete = [extra for extra in extras if extra not in absent]
    text = f"installed: {', '.join(complete) or 'none'}"
    if absent:
        lacking = [f"{extra} (without {', '.join(names)})" for extra, names in absent.items()]
        text += f"; not installed: {', '.join(lacking)}"
    return Finding(OK, text, f"pip install 'vacli[{','.join(absent)}]', if you need them" if absent else "")


def check_disk() -> Finding:
    """Free space in the current folder and in the folder of temporary files."""
    places = {"here": Path.cwd(), "for temporary files": Path(tempfile.gettempdir())}
    free = {name: shutil.disk_usage(path).free for name, path in places.items()}
    with tempfile.TemporaryFile() as file:
        file.write(b"va")
    text = ", ".join(f"{count / 1e9:.1f} GB free {name} ({places[name]})" for name, count in free.items())
    if min(free.values()) < MIN_FREE_BYTES:
        return Finding(PROBLEM, text, "free 1 GB, or set TMPDIR to a folder on a larger disk")
    return Finding(OK, text)


def check_completion() -> Finding:
    """Whether the user's shell completes `va`."""
    shell, home = Path(os.environ.get("SHELL", "")).name, Path.home()
    starts = {
        "bash": (home / ".bashrc", home / ".bash_profile"),
        "zsh": (Path(os.environ.get("ZDOTDIR") or home) / ".zshrc",),
        "fish": (home / ".config/fish/config.fish",),
    }
    if shell not in starts:
        return Finding(OK, f"no completion for the shell {shell or 'that is used'}")
    places = (
        home / ".local/share/bash-completion/completions/va",
        home / ".config/fish/completions/va.fish",
    )
    is_installed = any(path.is_file() and shell in str(path) for path in places)
    if is_installed or any(_mentions_completion(path, shell) for path in starts[shell]):
        return Finding(OK, f"{shell} completes `va`")
    return Finding(
        NOTE, f"{shell} does not complete `va`", f"`va completion {shell}` shows how to install it"
    )


def _mentions_completion(path: Path, shell: str) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(words in text for words in (f"va completion {shell}", "completions/va.", "site-functions"))


def check_prediction() -> Finding:
    """Predict a clip of PREDICTION_S in a process of its own, which may crash."""
    from vacli.media.demo_clip import write_demo_clip

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_demo_clip(clip, PREDICTION_S)
        start_s = time.monotonic()
        command = [sys.executable, "-m", "vacli", "predict", str(clip), "--json"]
        search = os.pathsep.join([str(PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": search},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        took_s = time.monotonic() - start_s
    rows = done.stdout.splitlines()
    if done.returncode or not all(cell in done.stdout for cell in EXPECTED_CELLS):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Finding(PROBLEM, f"a clip cannot be predicted: {last}", "solve the problems above first")
    return Finding(OK, f"{len(rows)} frames of a generated clip in {took_s:.1f} s")


# Name, function, and whether `va predict` needs it.
CHECKS: tuple[tuple[str, Callable[[], Finding], bool], ...] = (
    ("Python", check_python, True),
    ("cores and memory", check_cores, False),
    ("packages", check_packages, True),
    ("FFmpeg", check_ffmpeg, True),
    ("ONNX Runtime", check_onnxruntime, True),
    ("openSMILE", check_opensmile, True),
    ("compiled loops", check_numba, True),
    ("GPU", check_gpu, False),
    ("mamba-ssm", check_mamba, False),
    ("extras", check_extras, False),
    ("bundled weights", check_bundled_weights, True),
    ("published weights", check_published_weights, False),
    ("disk", check_disk, True),
    ("completion", check_completion, False),
    ("prediction", check_prediction, True),
)
