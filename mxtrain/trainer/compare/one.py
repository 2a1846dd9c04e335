"""One trial: a whole training run without files, whatever comes of it."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mxtrain.config import plugins
from mxtrain.errors import MXNetError
from mxtrain.trainer.best import Best
from mxtrain.trainer.build import Built, add_optimizer, build
from mxtrain.trainer.compare.report import Ending, Event, Moved, Point
from mxtrain.trainer.errors import InterruptError, NotFiniteError
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.threads import suitable_threads

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec

Send = Callable[[Event], None]


def run_trial(
    spec: RunSpec, send: Send, stop_requested: Callable[[], bool] = lambda: False
) -> Ending:
    """Train what `spec` says, send its epochs, and return how it ended.

    Nothing that an optimizer does wrong is raised: it becomes the ending. `stop_requested` is
    asked after every batch.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        status, reason = _ending(spec, send, stop_requested)
    texts = dict.fromkeys(str(warning.message) for warning in caught)
    return Ending(status, reason, tuple(texts))


def _ending(spec: RunSpec, send: Send, stop_requested: Callable[[], bool]) -> tuple[str, str]:
    try:
        for entry in spec.plugins:
            plugins.load(entry, Path())
        return _train(spec, send, stop_requested)
    except InterruptError as error:
        return "interrupted", str(error)
    except NotFiniteError as error:
        return "diverged", "; ".join(str(error).splitlines()[:2])
    except (MXNetError, ValueError, TypeError, AssertionError, NotImplementedError) as error:
        return "refused", _told(error)
    except Exception as error:  # an optimizer may be anybody's code: the other trials go on
        return "failed", f"{type(error).__name__}: {_told(error)}"


def _told(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _train(spec: RunSpec, send: Send, stop_requested: Callable[[], bool]) -> tuple[str, str]:
    built = build(spec)
    add_optimizer(built)
    loop = Loop(built, stop_requested, lambda batch, batches, *_: send(Moved(batch / batches)))
    with suitable_threads(spec.threads, loop.bound(spec.data.batch_size)):
        return _epochs(built, loop, send)


def _epochs(built: Built, loop: Loop, send: Send) -> tuple[str, str]:
    spec = built.spec
    best = Best(spec.fit, loop.eval_measure.metrics, built.data.eval is not None)
    for epoch in range(spec.fit.begin_epoch, spec.fit.num_epoch):
        started = time.perf_counter()
        loop.train_epoch(epoch)
        seconds = time.perf_counter() - started
        train, evaluated = loop.train_measure.values(), loop.evaluate()
        state_bytes = built.module.optimizer_state_bytes()
        send(Point(epoch + 1, train, evaluated, seconds, state_bytes))
        side, values = ("eval", evaluated) if evaluated else ("train", train)
        if not math.isfinite(values["loss"]):
            return "diverged", f"the {side} loss is {values['loss']} after epoch {epoch + 1}"
        best.see(epoch + 1, train, evaluated, built.module)
        if best.should_stop:
            return "stopped early", best.stopping_reason
    return "done", ""
