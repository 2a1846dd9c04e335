"""A run killed with SIGKILL goes on to the same bits; ``make kills`` does it fifty times."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kill_runs import Kills


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal to send")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    kills = Kills(tmp_path, seed=2)
    found = [kills.kill(number) for number in range(4)]
    assert len({kill.position for kill in found}) > 1
