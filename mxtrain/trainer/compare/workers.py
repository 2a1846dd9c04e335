"""Trials in several processes: each takes one after the other and tells what happens.

Processes are spawned, so that no locks or threads of this one are copied into them, and the BLAS of
each is limited to its share of the cores.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection, get_context
from typing import TYPE_CHECKING, Any

from mxtrain.trainer.compare.one import run_trial
from mxtrain.trainer.compare.report import Ending, Event, Started
from mxtrain.trainer.threads import limited_threads

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec

OnEvent = Callable[[int, Event], None]
SECONDS_BETWEEN_LOOKS = 0.2


def cores() -> int:
    """Return the processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_for(spec: RunSpec, jobs: int) -> int | None:
    """Return the threads of each of `jobs` processes; the spec's own number comes first."""
    if spec.threads is not None or jobs == 1:
        return spec.threads
    return max(cores() // jobs, 1)


class Workers:
    """A number of processes that run trials; a ``with`` block ends them whatever happens.

    Parameters
    ----------
    jobs : how many processes.
    threads : of the BLAS in each; None leaves them alone.
    """

    def __init__(self, jobs: int, threads: int | None) -> None:
        self._jobs, self._threads = jobs, threads
        self._workers: list[_Worker] = []

    def run(
        self, specs: Sequence[RunSpec], on_event: OnEvent, stop_requested: Callable[[], bool]
    ) -> None:
        """Run every spec, tell what happens by its place in `specs`, return when all have ended.

        A process that dies takes its trial with it, and another one goes on with the next. A stop
        returns at once.
        """
        waiting = list(enumerate(specs))
        while (waiting or self._workers) and not stop_requested():
            while waiting and len(self._workers) < self._jobs:
                number, spec = waiting.pop(0)
                worker = _Worker(self._threads)
                self._workers.append(worker)
                worker.give(number, spec)
                on_event(number, Started())
            for worker in self._ready():
                if not self._hear(worker, on_event):
                    continue
                if waiting:
                    number, spec = waiting.pop(0)
                    worker.give(number, spec)
                    on_event(number, Started())
                else:
                    self._workers.remove(worker)
                    worker.end()

    def _ready(self) -> list[_Worker]:
        told = connection.wait([w.pipe for w in self._workers], SECONDS_BETWEEN_LOOKS)
        return [worker for worker in self._workers if worker.pipe in told]

    def _hear(self, worker: _Worker, on_event: OnEvent) -> bool:
        """Pass one message on; return whether the worker is free for another trial."""
        try:
            event = worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            on_event(worker.number, Ending("failed", worker.cause_of_death()))
            return False
        on_event(worker.number, event)
        return isinstance(event, Ending)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.end()
        self._workers.clear()


class _Worker:
    """One process, the pipe to it, and the trial it is at."""

    def __init__(self, threads: int | None) -> None:
        context = get_context("spawn")
        self.number = -1
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        with _sigint_held_back():
            self.process.start()
        theirs.close()

    def give(self, number: int, spec: RunSpec) -> None:
        """Let it run a trial."""
        self.number = number
        try:
            self.pipe.send(spec)
        except OSError:
            return  # it has died; its pipe says so when it is read next

    def cause_of_death(self) -> str:
        """Say how the process ended by itself."""
        self.end()
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"its process was ended by {name}; is there enough memory for all jobs?"
        return f"its process ended with exit code {code}"

    def end(self) -> None:
        """Close the pipe, upon which an idle process ends; one that does not is killed."""
        self.pipe.close()
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


@contextmanager
def _sigint_held_back() -> Iterator[None]:
    """Let a new process begin with Ctrl-C blocked: the terminal sends that to all of them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Any, threads: int | None) -> None:
    """Run trials until the pipe is closed: the main function of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP"):  # a terminal that is closed sends it to all of them, too
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with limited_threads(threads):
        try:
            while True:
                spec = pipe.recv()
                pipe.send(run_trial(spec, pipe.send))
        except (EOFError, ConnectionError):
            return  # the process that compares wants no more
