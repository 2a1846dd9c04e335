"""Schedules in a config: counts in epochs, and the rates that `fit` really uses."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mxtrain.cli import command_line
from mxtrain.config import ConfigErrors, load, schema, to_yaml
from mxtrain.console.quiet import QuietReporter
from mxtrain.lr_scheduler import FactorScheduler, MultiFactorScheduler, PolyScheduler
from mxtrain.lr_scheduler.updates import in_updates, units
from mxtrain.module import Module
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.preview import rates
from mxtrain.trainer.run import fit

CONFIG = """\
data: {train: {path: train.csv, label: y}, batch_size: 4, last_batch: LAST}
symbol:
  - {op: FullyConnected, name: fc, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: sgd, learning_rate: 0.5}
lr_scheduler: SCHEDULE
fit: {num_epoch: 4}
"""
ROWS = 18

SCHEDULES = [
    "{name: factor, step: 1 epoch, factor: 0.5}",
    "{name: factor, step: 3, factor: 0.5, warmup_steps: 1 epoch}",
    "{name: multifactor, step: [1 epoch, 2.5 epochs], factor: 0.1}",
    "{name: poly, max_update: 4 epochs}",
    "{name: cosine, max_update: 3 epochs, warmup_steps: 0.5 epochs, final_lr: 0.01}",
    "{name: constant, warmup_steps: 2 epochs, warmup_mode: constant, warmup_begin_lr: 0.1}",
    "{name: exponential, factor: 0.5, step: 1 epoch}",
    "{name: onecycle, max_update: 4 epochs, anneal_strategy: linear}",
    "{name: cosinerestarts, period: 1 epoch, period_mult: 2, peak_decay: 0.5}",
    "{name: wsd, max_update: 4 epochs, decay_steps: 1 epoch, warmup_steps: 2}",
    "{name: chain, schedules: [constant, {name: poly, max_update: 2 epochs}], updates: [1 epoch]}",
]


def write_config(folder: Path, schedule: str, last: str = "keep") -> Path:
    rows = "".join(f"{n},{n * n % 7},{n % 2}\n" for n in range(ROWS))
    (folder / "train.csv").write_text("a,b,y\n" + rows)
    path = folder / "config.yaml"
    path.write_text(CONFIG.replace("SCHEDULE", schedule).replace("LAST", last))
    return path


def used_by_fit(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Train a config and return the rate of each update, as the optimizer's rule got it."""
    seen: list[float] = []
    update = Module.init_optimizer

    def watched(self: Any, *arguments: Any, **named: Any) -> None:
        update(self, *arguments, **named)
        optimizer = self.optimizer
        scalars = optimizer.scalars

        def record(lr: float, wd: float, t: int) -> dict[str, float]:
            if len(seen) < t:
                seen.append(lr)
            assert seen[t - 1] == lr
            return scalars(lr, wd, t)

        optimizer.scalars = record

    monkeypatch.setattr(Module, "init_optimizer", watched)
    result = fit(load(path), QuietReporter(sys.stderr), output=path.parent / "run")
    assert result.status == "done"
    return seen


@pytest.mark.parametrize("last", ["keep", "discard", "pad", "roll_over"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_lr_shows_the_rates_that_fit_uses(
    schedule: str, last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_config(tmp_path, schedule, last)
    printed = CliRunner().invoke(command_line, ["lr", str(path), "--json"])
    assert printed.exit_code == 0, printed.output
    shown = json.loads(printed.output)["rates"]
    updates = {"keep": 20, "pad": 20, "discard": 16, "roll_over": 18}[last]
    assert len(shown) == updates and len(set(shown)) > 1
    assert used_by_fit(path, monkeypatch) == shown


def test_epochs_are_the_batches_there_are(tmp_path: Path) -> None:
    path = write_config(tmp_path, "{name: factor, step: 2 epochs, factor: 0.5}")
    assert rates(load(path)).rates == (0.5,) * 10 + (0.25,) * 10
    assert rates(load(path, ["data.batch_size=9"])).rates == (0.5,) * 4 + (0.25,) * 4
    discarding = load(path, ["data.last_batch=discard"])
    assert rates(discarding).rates == (0.5,) * 8 + (0.25,) * 8
    rolling = load(path, ["data.last_batch=roll_over"])
    assert rates(rolling).rates == (0.5,) * 9 + (0.25,) * 9


def test_numbers_become_updates() -> None:
    given = {"step": ["1 epoch", "1.5 epochs", 40], "factor": 0.5, "base_lr": 0.1}
    wanted = {"step": [20, 30, 40], "factor": 0.5, "base_lr": 0.1}
    assert in_updates(MultiFactorScheduler, given, 20) == wanted
    assert in_updates(FactorScheduler, {"step": "0.001 epochs"}, 20) == {"step": 1}
    assert in_updates(FactorScheduler, {"warmup_steps": "0 epochs"}, 20) == {"warmup_steps": 0}
    assert in_updates(FactorScheduler, {"step": "3epochs"}, 7.5) == {"step": 22}
    assert in_updates(PolyScheduler, {"max_update": "0.29 epochs"}, 100) == {"max_update": 29}


def test_units() -> None:
    assert units(FactorScheduler, {"step": "1 epoch", "warmup_steps": 0}) == {"epochs"}
    assert units(FactorScheduler, {"step": 1, "warmup_steps": "1 epoch"}) == {"epochs", "updates"}
    assert units(FactorScheduler, {"base_lr": 1}) == set()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_resolved_config_says_the_same(schedule: str, tmp_path: Path) -> None:
    spec = load(write_config(tmp_path, schedule))
    (tmp_path / "again.yaml").write_text(to_yaml(spec, tmp_path))
    assert load(tmp_path / "again.yaml") == spec


def test_epochs_from_the_command_line(tmp_path: Path) -> None:
    path = write_config(tmp_path, "{name: factor, step: 1, factor: 0.5}")
    spec = load(path, ["lr_scheduler.step=2 epochs"])
    assert spec.lr_scheduler is not None and spec.lr_scheduler.settings["step"] == "2 epochs"


def test_mixed_units_are_checked_when_the_data_are_known(tmp_path: Path) -> None:
    path = write_config(tmp_path, "{name: multifactor, step: [6, 1 epoch], factor: 0.5}")
    spec = load(path)
    with pytest.raises(SetupError, match=r"lr_scheduler: step must increase.*\[6, 5\]"):
        rates(spec)
    assert CliRunner().invoke(command_line, ["fit", str(path)]).exit_code != 0
    assert rates(load(path, ["data.batch_size=2"])).rates[:7] == (0.5,) * 6 + (0.25,)


def test_warm_up_longer_than_the_rest_is_found_before_the_data_are_read(tmp_path: Path) -> None:
    schedule = "{name: wsd, max_update: 4 epochs, decay_steps: 3 epochs, warmup_steps: 2 epochs}"
    path = write_config(tmp_path, schedule)
    (tmp_path / "train.csv").write_text("a,b,y\n")
    with pytest.raises(ConfigErrors, match="together must not exceed"):
        load(path)


def test_the_schema_knows_epochs_and_chains() -> None:
    forms = schema()["$defs"]["lr_scheduler"]["anyOf"][1:]
    by_name = {form["properties"]["name"]["enum"][0]: form["properties"] for form in forms}
    number, text = by_name["factorscheduler"]["step"]["anyOf"]
    assert (number["type"], number["minimum"], text["type"]) == ("number", 1, "string")
    fitting = [
        t for t in ("3 epochs", "0.5 epoch", "3 epoches", "epochs") if re.match(text["pattern"], t)
    ]
    assert fitting == ["3 epochs", "0.5 epoch"]
    assert len(by_name["multifactorscheduler"]["step"]["items"]["anyOf"]) == 2
    assert by_name["chainscheduler"]["schedules"]["items"] == {"$ref": "#/$defs/lr_scheduler"}
    assert "warmup_steps" not in by_name["onecyclescheduler"]
