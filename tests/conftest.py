"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from mxtrain import backend

sys.path.insert(0, str(Path(__file__).parent / "backend"))
import cuda_on_host

# How long an example takes says more about what else the machine does than about the code.
# Examples are the same in every run; HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("mxtrain", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "mxtrain"))

# Kernels compiled by tests stay out of the user's cache, and serve the next run of the tests.
os.environ.setdefault(
    "MXTRAIN_CACHE", str(Path(__file__).parent.parent / ".pytest_cache" / "mxtrain")
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that puts a stand-in in place of a GPU."""
    text = "let the backend 'cupy' run on this machine's processor, its kernels compiled for that"
    parser.addoption("--cuda-on-host", action="store_true", help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Put the stand-in in place before tests ask which backends there are."""
    if config.getoption("--cuda-on-host"):
        patch = pytest.MonkeyPatch()
        config.add_cleanup(patch.undo)
        cuda_on_host.put_in_place(patch)
        config.pluginmanager.register(cuda_on_host.Plugin())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `each_backend` once on every backend that is there.

    Tests marked ``also_on_host`` run on a stand-in for a GPU where none is there.
    """
    if "each_backend" in metafunc.fixturenames:
        names: list[Any] = list(backend.installed())
        marked = metafunc.definition.get_closest_marker("also_on_host") is not None
        if marked and "cupy" not in names:
            names.append(pytest.param("cupy", id="on-host", marks=cuda_on_host.needs_compiler))
        metafunc.parametrize("each_backend", names, indirect=True)


@pytest.fixture
def device() -> Iterator[cuda_on_host.HostDevice]:
    """A device that every part of the project takes for a GPU."""
    with cuda_on_host.stand_in_for_a_gpu() as made:
        yield made


@pytest.fixture
def each_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test once on every backend that is installed."""
    if request.param not in backend.installed():
        cuda_on_host.put_in_place(monkeypatch)
        request.addfinalizer(backend._get.cache_clear)
    monkeypatch.setenv(backend.VARIABLE, request.param)
    return str(request.param)


_GOLDEN = "recorded values"


@pytest.fixture
def say_counts(record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """Let a test say how many recorded cases match; shown at the end, before pytest's summary."""
    return lambda what, counts: record_property(_GOLDEN, f"{what:<14} {counts}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show the counts of recorded cases."""
    lines = sorted(
        str(text)
        for report in terminalreporter.stats.get("passed", [])
        for name, text in report.user_properties
        if name == _GOLDEN
    )
    if lines:
        terminalreporter.section("values recorded from MXNet 1.9.1")
        for line in lines:
            terminalreporter.write_line(line)
