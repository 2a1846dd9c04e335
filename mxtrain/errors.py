"""The exceptions of the package, and the words they share.

MXNet scripts catch ``MXNetError`` (a ``RuntimeError``), ``ValueError``, ``TypeError`` and
``AssertionError``. Every error raised here is one of these or a subclass, so such scripts keep
working, and each one says what was wrong, what was received and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class MXNetError(RuntimeError):
    """A failure of the graph, the executor or a file (``MXNetError`` in MXNet)."""


class ShapeError(MXNetError):
    """Shapes that do not fit together; the text names the node and the operator."""


class TypeInferenceError(MXNetError):
    """Element types that do not fit together; the text names the node and the operator."""


class FileFormatError(MXNetError):
    """A file that is truncated, damaged or not of the format its reader expects."""


class CallError(AssertionError):
    """A call made too early, or with an argument of the wrong kind.

    MXNet uses the ``assert`` statement in these places, so this is an ``AssertionError``.
    """


class NotImplementedForSymbol(NotImplementedError):
    """An operation that arrays have and symbols have not, such as a truth value."""


class PluginError(MXNetError):
    """A plugin file or module that cannot be loaded."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None when none is near.

    >>> closest("adm", ["adam", "sgd"])
    'adam'
    >>> closest("adma", ["adam", "adamax"])
    'adam'
    >>> closest("zzz", ["adam", "sgd"]) is None
    True
    """
    from difflib import get_close_matches  # only wanted once something has gone wrong

    lower = name.lower()
    by_lower = {candidate.lower(): candidate for candidate in known}
    swapped = [one for one in by_lower if sorted(one) == sorted(lower)]
    hits = get_close_matches(lower, swapped or list(by_lower), n=1, cutoff=0.6)
    return by_lower[hits[0]] if hits else None


def unknown_name(kind: str, name: str, known: Iterable[str], limit: int = 40) -> str:
    """Say that `name` is not a known `kind`, with the nearest one and the list.

    >>> unknown_name("optimizer", "adm", ["adam", "sgd"])
    "unknown optimizer 'adm'; did you mean 'adam'? known: adam, sgd"
    """
    names = sorted(known)
    near = closest(name, names)
    hint = f"; did you mean '{near}'?" if near else ";"
    return f"unknown {kind} '{name}'{hint} known: {_listed(names, limit)}"


def missing_columns(names: Sequence[str], there: Iterable[str], limit: int = 8) -> str:
    """Say which columns a file has not, the first `limit` of them by name, and which it has.

    >>> missing_columns(["hieght", "z"], ["height", "width"])
    "has no columns 'hieght' (did you mean 'height'?), 'z'; it has: height, width"
    """
    known = list(there)
    hints = [(name, closest(name, known)) for name in names[:limit]]
    shown = ", ".join(f"'{name}'" + (f" (did you mean '{n}'?)" if n else "") for name, n in hints)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    plural = "s" if len(names) > 1 else ""
    return f"has no column{plural} {shown}{more}; it has: {_listed(known, 40)}"


def size(number_of_bytes: float) -> str:
    """Return an amount of memory in binary units.

    >>> size(512), size(38440), size(3 * 2**30)
    ('512 B', '37.5 KiB', '3.0 GiB')
    """
    value, unit = float(number_of_bytes), "B"
    for bigger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, bigger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _listed(names: list[str], limit: int) -> str:
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
