"""A team of threads for the long pieces of compiled functions: matrix products and updates.

The BLAS has threads of its own, but these exchange parts of the factors while they work, which
takes half as long again wherever the cores are far apart. Here a piece is cut once and every thread
works on its part alone, with a BLAS of one thread. Threads wait for work in compiled code, so
handing over costs about as much as a cache line that changes its core.

A part that no thread has begun is done by who posted it: nothing waits for a thread that sleeps,
or that the machine has no core for. Parts are the same whoever does them, and so are the results.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from mxtrain.backend import threads
from mxtrain.backend.compiled.atomics import (
    pause,
    read_word,
    replace_word,
    write_byte,
    write_word,
)
from mxtrain.backend.compiled.calls import address_of, call4
from mxtrain.backend.compiled.pointers import put_word, word_of
from mxtrain.backend.compiled.products import (
    SHARED,
    SINGLE,
    addresses,
    blas_threads,
    multiply_float32,
    multiply_float64,
    set_blas_threads,
)

# Elements of an update that are worth another thread.
SHARED_UPDATE = 32_768
# Rows and columns are cut where the BLAS has whole blocks.
EDGE = 16
# How often a thread looks for work before it sleeps; a few milliseconds.
PATIENCE = 100_000

# A team is a table of words: its size, whether it is in use, and the address of what wakes; then,
# for each thread but the one that posts, what was posted and the job, and apart from it what was
# claimed and done, whether the thread is awake, and what to write to wake it.
_BUSY, _WRITE = 1, 2
_LINE = 32
_POSTED, _JOB, _CLAIMED, _DONE, _AWAKE, _PIPE = 0, 1, 16, 17, 18, 19
# Entries of the table `B` that functions are called with.
TABLE = ("share", "single", "double", "get_threads", "set_threads", "team")
_GET, _SET, _TEAM = 3, 4, 5
_UPDATE = 0  # a kind of job; products have that of their function

_jit: dict[str, Any] = {"nogil": True, "error_model": "numpy", "cache": True}


@njit("void(int64)", **_jit)
def _do(job):  # type: ignore[no-untyped-def]
    """Do a job: its kind, the address of a function, what that is called with."""
    kind, function = word_of(job, 0), word_of(job, 1)
    if kind == _UPDATE:
        call4(function, (word_of(job, 2), word_of(job, 3), word_of(job, 4), word_of(job, 5)))
        return
    left_t, right_t = word_of(job, 2), word_of(job, 3)
    m, n, k = word_of(job, 4), word_of(job, 5), word_of(job, 6)
    a, lda, b = word_of(job, 7), word_of(job, 8), word_of(job, 9)
    ldb, c, ldc = word_of(job, 10), word_of(job, 11), word_of(job, 12)
    if kind == SINGLE:
        multiply_float32(function, left_t, right_t, m, n, k, a, lda, b, ldb, c, ldc)
    else:
        multiply_float64(function, left_t, right_t, m, n, k, a, lda, b, ldb, c, ldc)


@njit("int64(int64, int64)", **_jit)
def _line(team, number):  # type: ignore[no-untyped-def]
    return team + 8 * _LINE * (number + 1)


@njit("void(int64, int64, int64)", **_jit)
def _serve(team, number, patience):  # type: ignore[no-untyped-def]
    """Do what is posted for a thread, until nothing has been for a while."""
    line = _line(team, number)
    idle = 0
    while True:
        posted, claimed = read_word(line, _POSTED), read_word(line, _CLAIMED)
        if posted != claimed and replace_word(line, _CLAIMED, claimed, posted):
            _do(line + 8 * _JOB)
            write_word(line, _DONE, posted)
            idle = 0
        elif idle < patience:
            pause()
            idle += 1
        elif idle == patience:
            write_word(line, _AWAKE, 0)
            idle += 1  # one more look: something may have been posted just now
        else:
            return


@njit("int64(int64, int64)", **_jit)
def _enter(team, most):  # type: ignore[no-untyped-def]
    """Take the team, where nobody has it; return how many threads may have a part."""
    size = min(word_of(team, 0), most)
    if size < 2 or not replace_word(team, _BUSY, 0, 1):
        return 1
    return size


@njit("void(int64, int64)", **_jit)
def _post(team, number):  # type: ignore[no-untyped-def]
    line = _line(team, number)
    write_word(line, _POSTED, word_of(line, _POSTED) + 1)
    if replace_word(line, _AWAKE, 0, 1):
        write_byte(word_of(team, _WRITE), word_of(line, _PIPE))


@njit("void(int64, int64)", **_jit)
def _leave(team, parts):  # type: ignore[no-untyped-def]
    """Do the parts that nobody has begun, wait for the others, and give the team back."""
    for number in range(parts - 1):
        line = _line(team, number)
        posted = word_of(line, _POSTED)
        if replace_word(line, _CLAIMED, posted - 1, posted):
            _do(line + 8 * _JOB)
            continue
        while read_word(line, _DONE) != posted:
            pause()
    write_word(team, _BUSY, 0)


@njit("int64(int64, int64, int64)", **_jit)
def _cut(length, part, parts):  # type: ignore[no-untyped-def]
    """Return where a part begins; the last one ends at `length`."""
    if part == parts:
        return length
    return length * part // parts // EDGE * EDGE


@njit("void(" + ", ".join(["int64"] * 13) + ")", **_jit)
def share_product(  # type: ignore[no-untyped-def]
    table, kind, left_t, right_t, m, n, k, a, lda, b, ldb, c, ldc
):
    """Multiply large matrices in parts; `kind` is the entry of the BLAS's function.

    The BLAS is held to one thread meanwhile. As many threads take part as it may have, so whoever
    limits it limits the team. Products that give a gradient of weights, whose left factor is
    transposed, are cut by rows and others by columns: so nearly the same thread reads a weight,
    writes its gradient and updates it, and these stay in the cache of its core.
    """
    function, team = word_of(table, kind), word_of(table, _TEAM)
    size = 4 * kind
    parts, allowed = 1, 1
    if team != 0 and m * n * k >= SHARED:
        allowed = blas_threads(word_of(table, _GET))
        parts = _enter(team, allowed)
    bands = parts if left_t != 0 else 1
    stripes = parts // bands
    if parts > 1:
        set_blas_threads(word_of(table, _SET), 1)
    for part in range(parts - 1, -1, -1):
        band, stripe = part // stripes, part % stripes
        top, left = _cut(m, band, bands), _cut(n, stripe, stripes)
        rows, columns = _cut(m, band + 1, bands) - top, _cut(n, stripe + 1, stripes) - left
        my_a = a + size * (top if left_t != 0 else top * lda)
        my_b = b + size * (left * ldb if right_t != 0 else left)
        my_c = c + size * (top * ldc + left)
        job = (rows, columns, k, my_a, lda, my_b, ldb, my_c, ldc)
        if part == 0:
            if kind == SINGLE:
                multiply_float32(function, left_t, right_t, *job)
            else:
                multiply_float64(function, left_t, right_t, *job)
            continue
        at = _line(team, part - 1) + 8 * _JOB
        put_word(at, 0, kind)
        put_word(at, 1, function)
        put_word(at, 2, left_t)
        put_word(at, 3, right_t)
        for place in range(9):
            put_word(at, 4 + place, job[place])
        _post(team, part - 1)
    if parts > 1:
        _leave(team, parts)
        set_blas_threads(word_of(table, _SET), allowed)


@njit("void(" + ", ".join(["int64"] * 7) + ")", **_jit)
def share_update(  # type: ignore[no-untyped-def]
    team, most, function, arrays, start, stop, scalars
):
    """Run an update rule from `start` to `stop`, in parts where it is long."""
    parts = _enter(team, most) if team != 0 and stop - start >= SHARED_UPDATE else 1
    for part in range(parts - 1, -1, -1):
        first, last = start + _cut(stop - start, part, parts), stop
        if part < parts - 1:
            last = start + _cut(stop - start, part + 1, parts)
        if part == 0:
            call4(function, (arrays, first, last, scalars))
            continue
        at = _line(team, part - 1) + 8 * _JOB
        put_word(at, 0, _UPDATE)
        put_word(at, 1, function)
        put_word(at, 2, arrays)
        put_word(at, 3, first)
        put_word(at, 4, last)
        put_word(at, 5, scalars)
        _post(team, part - 1)
    if parts > 1:
        _leave(team, parts)


class Team:
    """Threads that wait for parts of products and updates.

    Parameters
    ----------
    size : how many work together, the one that posts included.
    """

    def __init__(self, size: int) -> None:
        self._words = np.zeros(_LINE * (size + 1), np.int64)
        self.address: int = self._words.ctypes.data
        self._size = size
        self._is_started = False
        self.begin_alone()

    def begin_alone(self) -> None:
        """Be without threads, as in the child of a process: who posts does everything."""
        self._is_started = False
        self._words[:] = 0
        self._words[0], self._words[_WRITE] = self._size, _address_of_write()
        self._words[_LINE + _AWAKE :: _LINE] = 1

    def start(self) -> None:
        """Start the threads, unless they are there."""
        if self._is_started:
            return
        self._is_started = True
        for number in range(self._size - 1):
            reading, self._words[_LINE * (number + 1) + _PIPE] = os.pipe()
            name, arguments = f"mxtrain-team-{number + 1}", (number, reading)
            threading.Thread(target=self._work, args=arguments, name=name, daemon=True).start()

    def _work(self, number: int, pipe: int) -> None:
        while True:
            _serve(self.address, number, PATIENCE)
            os.read(pipe, 1)


_teams: dict[int, Team] = {}


def team() -> Team | None:
    """Return the team of this process, None where it may use one core only."""
    size = threads.count()
    if size < 2 or os.name != "posix":
        return None
    if size not in _teams:
        _teams[size] = Team(size)
    found = _teams[size]
    found.start()
    return found


def _begin_alone() -> None:
    for each in _teams.values():
        each.begin_alone()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_alone)


@cache
def _address_of_write() -> int:
    return ctypes.cast(ctypes.CDLL(None).write, ctypes.c_void_p).value or 0


def table() -> Sequence[int]:
    """Return the entries that compiled functions find products by; see `TABLE`."""
    blas, mine = addresses(), team()
    if blas is None:
        return [0] * len(TABLE)
    return [address_of(share_product), *blas, mine.address if mine is not None else 0]


def helpers(size: int) -> tuple[int, int]:
    """Return the address of the team and how many threads an update may have.

    The address is 0 for an update of `size` elements that is not worth it.
    """
    mine = team() if size >= SHARED_UPDATE else None
    return (0, 1) if mine is None else (mine.address, threads.count())
