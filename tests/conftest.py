"""What holds for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from mxtrain import backend

# How long an example takes says more about what else the machine does than about the code.
# Examples are the same in every run; HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("mxtrain", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "mxtrain"))

# Kernels compiled by tests stay out of the user's cache, and serve the next run of the tests.
os.environ.setdefault(
    "MXTRAIN_CACHE", str(Path(__file__).parent.parent / ".pytest_cache" / "mxtrain")
)


@pytest.fixture(params=backend.installed())
def each_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test once on every backend that is installed."""
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
