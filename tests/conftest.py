"""What all rooms share: where the real clips and the labelled data are, and what is skipped without torch."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from synth.object_stores import S3Server

# On a loaded machine any example may take long: no test asserts on time.
settings.register_profile("va", deadline=None)
settings.load_profile("va")

# Tests that are started in the background of a shell or by nohup ignore signals that some of them send.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

SHARED = Path(os.environ.get("VA_SHARED", Path(__file__).parents[2] / "shared"))

WITHOUT_TORCH = importlib.util.find_spec("torch") is None
NEEDS_TORCH = "needs torch (pip install '.[train]')"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that are marked with `torch` are skipped where it is not installed."""
    for item in items:
        if WITHOUT_TORCH and item.get_closest_marker("torch"):
            item.add_marker(pytest.mark.skip(reason=NEEDS_TORCH))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A test file that imports torch, itself or through the package, is skipped where it is not installed."""
    report = yield
    if WITHOUT_TORCH and report.failed and _lacks_torch(report.call.excinfo.value):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 1, f"Skipped: {NEEDS_TORCH}")
    return report


def _lacks_torch(problem: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a missing torch."""
    while problem is not None and getattr(problem, "name", None) not in ("torch", "timm", "onnx"):
        problem = problem.__cause__ or problem.__context__
    return isinstance(problem, ModuleNotFoundError)


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[S3Server]:
    for package in ("obstore", "moto"):
        pytest.importorskip(package)
    from synth.object_stores import S3Server

    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def s3(_s3_server: S3Server) -> Iterator[S3Server]:
    """An S3 server on this machine, whose address and credentials are in the environment."""
    with mock.patch.dict(os.environ, _s3_server.environment):
        yield _s3_server
    _s3_server.failing, _s3_server.denied_methods, _s3_server.expired = 0.0, (), False


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the folder {name}/ of real recordings (set VA_SHARED to where it is)")
    return folder


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips; skips where it is absent."""
    return _shared("clips")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of labelled recordings; skips where it is absent."""
    return _shared("data")
