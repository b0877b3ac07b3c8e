"""Options, fixtures and the closing table of the fault tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.lab import Lab, Tally
from faults.oracle import Verdict

TALLY = Tally()
Record = Callable[[str, object, Verdict], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults", "faults injected by tests/faults")
    group.addoption("--faults", choices=("short", "full"), default="short", help="how many cases")
    group.addoption("--faults-seed", type=int, default=0, help="another seed, other faults")
    group.addoption("--faults-save", type=Path, help="folder for the inputs that fail")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `case` says how many it has: @pytest.mark.cases(full=300, short=4)."""
    marker = metafunc.definition.get_closest_marker("cases")
    if marker:
        count = marker.kwargs[metafunc.config.getoption("faults", "short")]
        metafunc.parametrize("case", range(count))


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Servers and inputs."""
    if sys.platform != "linux":
        pytest.skip("faults are injected by means of Linux")
    option = request.config.getoption
    made = Lab(tmp_path_factory.mktemp("faults"), option("faults_seed", 0), option("faults_save", None))
    yield made
    made.close()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Count a verdict and fail the test where a bound was broken."""
    option = request.config.getoption
    which = f"--faults {option('faults', 'short')} --faults-seed {option('faults_seed', 0)}"

    def check(kind: str, case: object, verdict: Verdict) -> None:
        TALLY.add(kind, case, verdict, f"pytest '{request.node.nodeid}' {which}")
        assert verdict.holds, f"{verdict.outcome}: {verdict.detail}"

    return check


@pytest.fixture(scope="session")
def tally() -> Tally:
    """The counts themselves, for cases that cannot be tried."""
    return TALLY


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TALLY.counts:
        terminalreporter.section("injected faults")
        for line in [*TALLY.table(), *TALLY.broken]:
            terminalreporter.write_line(line)
