from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vacli.errors import WeightsError
from vacli.faces import retinaface
from vacli.runtime import onnx


def test_a_session_has_the_requested_threads():
    session = onnx.create_session(retinaface.read_network(retinaface.COARSE), 3)
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert onnx.metadata(session) == {}


def test_no_telemetry_is_stored(tmp_path):
    code = (
        "from vacli.faces import retinaface; from vacli.runtime import onnx\n"
        "onnx.create_session(retinaface.read_network(retinaface.COARSE), 1)"
    )
    places = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"} | places
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_not_onnx_is_named(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(WeightsError, match=r"net\.onnx: not readable as ONNX"):
        onnx.open_session(path, 1)
    with pytest.raises(WeightsError, match=r"gone\.onnx: cannot be read: No such file"):
        onnx.open_session(tmp_path / "gone.onnx", 1)
