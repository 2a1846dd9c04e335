"""Sides in processes of their own, so that thread pools and memory of one do not meet another's.

Only the side that is measured works; the others wait for their next call.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import warnings
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self


class WorkerError(Exception):
    """A side failed; the message is that of its error."""


class Worker:
    """A process that holds one object and calls its methods.

    Parameters
    ----------
    target : ``module:Class``. `make` replaces the object by a new one.
    """

    def __init__(self, target: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, target), daemon=True)
        self._process.start()
        other.close()

    def make(self, *arguments: Any) -> str:
        """Make the object; return why it cannot be, in words, or nothing."""
        return str(self._ask("make", arguments))

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the object and return what it returns."""
        return self._ask(method, arguments)

    def drop(self) -> None:
        """Let go of the object and its memory."""
        self._ask("drop", ())

    def _ask(self, what: str, arguments: tuple[Any, ...]) -> Any:
        try:
            self._pipe.send((what, arguments))
            failed, value = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join(5)
            raise WorkerError(f"its process ended, status {self._process.exitcode}") from error
        if failed:
            raise WorkerError(value)
        return value

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()


class Workers:
    """Workers by target, started when first asked for; ends them when left.

    Several of one target are told apart by their slot.
    """

    def __init__(self) -> None:
        self._workers: dict[tuple[str, str], Worker] = {}

    def get(self, target: str, slot: str = "") -> Worker:
        """Return the worker of a target."""
        if (target, slot) not in self._workers:
            self._workers[target, slot] = Worker(target)
        return self._workers[target, slot]

    def lose(self, target: str, slot: str = "") -> None:
        """End the worker of a target that has failed."""
        worker = self._workers.pop((target, slot), None)
        if worker is not None:
            worker.close()

    def drop_all(self) -> None:
        """Let every worker let go of its object."""
        for worker in self._workers.values():
            worker.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for target, slot in list(self._workers):
            self.lose(target, slot)


def _serve(pipe: Connection, target: str) -> None:
    # Warnings of peers (deprecations, a loss that no longer falls) are none of a reader's business.
    warnings.simplefilter("ignore")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    held: list[Any] = []
    while True:
        try:
            what, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((False, _answer(held, target, what, arguments)))
        except Exception as error:  # whatever it is, the side is skipped and the report says why
            held.clear()
            pipe.send((True, f"{type(error).__name__}: {error}"[:500]))


def _answer(held: list[Any], target: str, what: str, arguments: tuple[Any, ...]) -> Any:
    if what in ("make", "drop"):
        held.clear()
        gc.collect()
    if what == "drop":
        return None
    if what == "make":
        module, _, name = target.partition(":")
        cls = getattr(import_module(module), name)
        refusal = str(cls.refusal(*arguments))
        if refusal:
            return refusal
        try:
            held.append(cls(*arguments))
        except NotImplementedError as error:
            return str(error)
        return ""
    method: Callable[..., Any] = getattr(held[0], what)
    return method(*arguments)
