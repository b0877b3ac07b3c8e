"""Several processes as torchrun starts them, without torchrun."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import vacli

LIMIT_S = 900  # a busy machine takes minutes to import torch twice


def run_ranks(size: int, code: str, *arguments: str | Path) -> None:
    """Run Python code in `size` processes; each must exit with code 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = [str(Path(vacli.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    common = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(here),
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(size),
    }
    command = [sys.executable, "-c", code, *map(str, arguments)]
    ranks = [
        subprocess.Popen(command, env=common | {"RANK": str(r), "LOCAL_RANK": str(r)}) for r in range(size)
    ]
    try:
        assert [rank.wait(LIMIT_S) for rank in ranks] == [0] * size
    finally:
        for rank in ranks:
            rank.kill()
