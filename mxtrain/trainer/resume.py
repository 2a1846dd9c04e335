"""Going on with a run: which checkpoint, whether it is whole, and what has changed since."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain import symbol as symbols
from mxtrain.checkpoint import run_state
from mxtrain.config import to_yaml
from mxtrain.errors import MXNetError, closest
from mxtrain.trainer import folder as folders
from mxtrain.trainer.changes import NOTHING, Change, changes
from mxtrain.trainer.damage import check_files, repairs, spared
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.gradients import COLUMNS as EXTRA
from mxtrain.trainer.kept_metrics import KeptMetrics, read_metrics
from mxtrain.trainer.position import STATE, WEIGHTS, Position

if TYPE_CHECKING:
    from mxtrain.checkpoint.run_state import RunState
    from mxtrain.config.spec import RunSpec
    from mxtrain.trainer.build import Built

LATEST = "latest"

# A run that is killed while it writes its first checkpoint leaves at most these weights: those of
# the checkpoint, and those of the best epoch.
_MOST_WITHOUT_STATE = 2


@dataclass(frozen=True)
class Found:
    """A run to go on with: its folder, and the checkpoint, None where it has none yet.

    `is_newest` is whether the checkpoint is meant for being the newest, and not by its name.
    """

    folder: Path
    position: Position | None
    is_newest: bool = True

    @property
    def config(self) -> Path:
        """The config the run was started with, every default filled in."""
        return self.folder / folders.CONFIG

    @property
    def graph(self) -> Path | None:
        """The run's own network, for when the file its config names has gone; None without one."""
        path = self.folder / folders.SYMBOL
        return path if self.position is not None and path.is_file() else None


def find(wanted: str) -> Found:
    """Return the run that ``--resume`` names: a folder, a checkpoint in one, or ``latest``.

    Raises SetupError where there is none.
    """
    path = _latest() if wanted == LATEST else Path(wanted)
    if not path.is_dir():
        return _checkpoint(path)
    if not (path / folders.CONFIG).exists():
        raise SetupError(f"{path} holds no run: it has no {folders.CONFIG}{_near(path)}")
    if folders.holds_comparison(path):
        raise SetupError(f"{path} holds a comparison, which cannot go on; compare again")
    if folders.is_config_alone(path):
        config = path / folders.CONFIG
        raise SetupError(f"{path} holds no run, but a config; to train it: mxtrain fit {config}")
    positions = states_in(path)
    if not positions:
        _refuse_weights_alone(path)
    return Found(path, max(positions, default=None))


def check_newest(found: Found) -> None:
    """Refuse (SetupError) a run that somebody went on with since it was found."""
    newest = max(states_in(found.folder), default=None)
    if found.is_newest and newest != found.position:
        raise SetupError(f"the run in {found.folder} has just been changed by another process")


def states_in(folder: Path) -> list[Position]:
    """Return the positions of the checkpoints in a folder, the newest last."""
    return [one for one in folders.positions_in(folder) if (folder / one.state).exists()]


def _latest() -> Path:
    runs = Path(folders.RUNS)
    found = sorted(folders.numbers(runs)) if runs.is_dir() else []
    for number in reversed(found):
        folder = runs / f"{number:04d}"
        if folders.holds_run(folder):
            return folder
    raise SetupError(f"there is no run in {runs.absolute()} to go on with")


def _checkpoint(path: Path) -> Found:
    position = Position.of(path.name)
    is_of_run = position is not None or path.exists()
    if not is_of_run or not (path.parent / folders.CONFIG).exists():
        raise SetupError(f"there is no run {path}{_near(path)}")
    if position is None or not (path.parent / position.state).exists():
        names = ", ".join(one.state for one in states_in(path.parent)) or "none"
        raise SetupError(f"{path} is no checkpoint to go on from; {path.parent} has: {names}")
    return Found(path.parent, position, is_newest=False)


def _near(path: Path) -> str:
    names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = closest(path.name, [name for name in names if name != path.name])
    return f"; did you mean '{path.parent / near}'?" if near else ""


def _refuse_weights_alone(folder: Path) -> None:
    weights = [one.weights for one in folders.positions_in(folder)]
    if len(weights) > _MOST_WITHOUT_STATE:
        raise SetupError(
            f"{folder} has weights but no {STATE} file beside them, without which a run cannot go "
            f"on; {_new_run(folder)}"
        )


@dataclass
class Stored:
    """A checkpoint that was read and found whole, or whole enough to go on from.

    Attributes
    ----------
    found, state : where it is, and what it holds.
    changed : settings that are others now.
    notes : what else is different, in words.
    is_forced : whether changes are taken that may alter the weights.
    damaged : what is wrong with files that the run can do without, by name.
    repairs : what is lost of them, or written anew, in words.
    metrics : what the files of metrics hold up to there, known once `check` has been called.
    """

    found: Found
    state: RunState
    changed: list[Change]
    is_forced: bool
    notes: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    repairs: list[str] = field(default_factory=list)
    metrics: KeptMetrics = field(default_factory=KeptMetrics)

    @property
    def position(self) -> Position:
        """Where the run stood."""
        return Position(self.state.metadata["epoch"], self.state.metadata["batch"])

    @property
    def needs_rewriting(self) -> bool:
        """Whether the folder has to be brought up to date with changed settings, data or files."""
        return bool(self.changed or self.notes or self.repairs)

    def check(self, built: Built, columns: list[str], facts: Mapping[str, Any]) -> None:
        """Compare network, columns of the metrics, data and versions with those of now.

        Raises SetupError for differences that are refused, and with which nobody can go on.
        """
        folder, metadata = self.found.folder, self.state.metadata
        self._check_network(built.module.symbol.tojson())
        epochs = range(built.spec.fit.begin_epoch + 1, self.position.epoch + 1)
        recorded = metadata["metrics"]
        self.metrics = read_metrics(folder, recorded, epochs, columns, self.is_forced)
        self.repairs += self.metrics.notes
        table = self.metrics.contents[folders.METRICS_CSV]
        if table:
            before = next(csv.reader(table.decode().splitlines()))
            if _measured(before) != _measured(columns):
                raise SetupError(
                    f"metrics cannot change within a run: {folder / folders.METRICS_CSV} has the "
                    f"columns {', '.join(before)}, now they would be {', '.join(columns)}; "
                    f"{_new_run(folder)}"
                )
        # A network and metrics that are the same, written in another way, are compared by now.
        same = [one for one in self.changed if not one.is_of("symbol", "weights")]
        refuse(folder, same, self.is_forced)
        self._check_data(facts["data"])
        now = facts["versions"]
        self.notes += [
            f"{name} was {value}, is {now.get(name)}: bits may differ"
            for name, value in metadata["versions"].items()
            if now.get(name) != value
        ]

    def _check_network(self, now: str) -> None:
        folder, damaged = self.found.folder, self.damaged.get(folders.SYMBOL)
        if damaged is None:
            is_same = symbols.load(str(folder / folders.SYMBOL)).tojson() == now
        else:
            digest = hashlib.sha256(now.encode()).hexdigest()
            is_same = self.state.metadata["files"][folders.SYMBOL] == digest
        if not is_same:
            put_back = "" if damaged is None else f"{damaged}; put it back, or "
            raise SetupError(
                f"the network is not that of {folder}, and cannot change within a run; "
                f"{put_back}{_new_run(folder)}"
            )

    def _check_data(self, now: Mapping[str, Any]) -> None:
        before = self.state.metadata["data"]
        sides = [side for side in before if before[side] != now[side]]
        if not sides:
            return
        words = " and ".join(f"the {side} rows" for side in sides)
        counts = ", ".join(f"{_rows(before[side])} -> {_rows(now[side])}" for side in sides)
        text = f"{words} are not those of the run ({counts})"
        if not self.is_forced:
            raise SetupError(f"{text}; --force goes on with them")
        if self.position.batch:
            raise SetupError(_within(self.found, text))
        if "train" in sides:
            self.state.values["loop"]["carried"] = []
        self.notes.append(text)


def _measured(columns: Iterable[str]) -> list[str]:
    """Return the columns that stay the same however a run goes on."""
    return [name for name in columns if name not in EXTRA]


def read(found: Found, position: Position, spec: RunSpec, force: bool) -> Stored:
    """Read a checkpoint and compare it with what is wanted now.

    Raises SetupError for a checkpoint that is not whole, naming an earlier one that is, and for
    changed settings that are not harmless, unless `force`, which also does without damaged files
    that it can do without (`damage.py`).
    """
    folder = found.folder
    try:
        state = run_state.load(folder / position.state)
        if (state.metadata["epoch"], state.metadata["batch"]) != (position.epoch, position.batch):
            raise SetupError(f"{folder / position.state} has been renamed; give it back its name")
        damaged = spared(folder, state.metadata, force)
        repaired = repairs(damaged, state.values["best"])
        changed = changes(state.metadata["config"], to_yaml(spec, folder))
    except (MXNetError, OSError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(f"{error}{_earlier(folder, position)}") from error
    for one in changed:
        if one.path == "optimizer.name":
            raise SetupError(f"the optimizer cannot change within a run: {one}; {_new_run(folder)}")
    if not any(one.is_of("symbol", "fit.metrics", "data.eval") for one in changed):
        refuse(folder, [one for one in changed if not one.is_of("weights")], force)
    if position.batch:
        within = [one for one in changed if one.path.startswith("data.") and not one.is_harmless]
        within += [one for one in changed if one.path == "seed"]
        if within:
            raise SetupError(_within(found, f"changed: {'; '.join(map(str, within))}"))
    notes = _own_graph(found, spec, changed)
    return Stored(found, state, changed, force, notes, damaged=damaged, repairs=repaired)


def _own_graph(found: Found, spec: RunSpec, changed: Iterable[Change]) -> list[str]:
    """Say that the network is the run's own graph, where it is since another file has gone."""
    places = ("symbol.file", "symbol.python")
    before = [one.before for one in changed if one.path in places and one.before != NOTHING]
    own = getattr(spec.symbol, "file", None)
    if not before or found.graph is None or own != str(found.graph.resolve()):
        return []
    gone = [name for name in before if not (found.folder / name).exists()]
    return [f"the network is the run's own {folders.SYMBOL}: {name} has gone" for name in gone]


def refuse(folder: Path, changed: Iterable[Change], force: bool) -> None:
    """Raise SetupError, naming each setting, where one is changed that may alter the weights."""
    harmful = [change for change in changed if not change.is_harmless]
    if harmful and not force:
        lines = "\n".join(f"  {change}" for change in harmful)
        raise SetupError(
            f"{folder} was trained with other settings, and these may alter its weights:\n{lines}\n"
            "--force goes on with the new ones"
        )


def needed_weights(folder: Path, position: Position) -> set[str]:
    """Return the files of weights that a checkpoint needs, as far as can be told."""
    try:
        metadata = run_state.load_metadata(folder / position.state)
        return {name for name in metadata["files"] if name.endswith(WEIGHTS)}
    except (MXNetError, KeyError, TypeError):
        return {position.weights}  # a damaged one: resuming from it says what is wrong


def _earlier(folder: Path, position: Position) -> str:
    """Say which earlier checkpoint is whole."""
    for one in reversed([other for other in states_in(folder) if other < position]):
        try:
            check_files(folder, run_state.load(folder / one.state).metadata["files"])
        except (MXNetError, OSError, KeyError, TypeError, AttributeError):
            continue  # the one before it may be
        return f"; an earlier checkpoint is whole: --resume {folder / one.state}"
    return "; there is no earlier checkpoint that is whole"


def _within(found: Found, text: str) -> str:
    whole = [one for one in states_in(found.folder) if not one.batch]
    advice = f"go on from the end of an epoch: --resume {found.folder / max(whole).state}"
    return f"{text}\nwithin an epoch that is not possible" + (f"; {advice}" if whole else "")


def _new_run(folder: Path) -> str:
    return f"a new run can start from its weights: mxtrain fit CONFIG --weights {folder}"


def _rows(facts: Mapping[str, Any] | None) -> str:
    return "none" if facts is None else f"{facts['rows']} rows"
