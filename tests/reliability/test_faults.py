"""A run whose disk fails goes on to the same bits, whatever had failed."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_runs import Trial
from faulty_files import KINDS

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="which file is flushed is told by /proc"
)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("faults"))


def chosen(trial: Trial, kind: str) -> list[int]:
    """Return a third of the operations, without those between the first and last of a file."""
    log = ["", *trial.operations, ""]
    ends = [n for n in range(1, len(log) - 1) if not log[n - 1] == log[n] == log[n + 1]]
    return ends[KINDS.index(kind) :: len(KINDS)]


@pytest.mark.parametrize("kind", KINDS)
def test_one_fault(trial: Trial, kind: str) -> None:
    operations = chosen(trial, kind)
    assert len(operations) > 20
    ended = {trial.fails(kind, at) for at in operations}
    assert ended == ({"killed"} if kind == "killed" else {"failed", "done"} & ended)
    assert ended != {"done"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [2, 9, 30])
def test_a_fault_while_going_on(trial: Trial, kind: str, again: int) -> None:
    trial.fails(kind, len(trial.operations) // 2, again)
