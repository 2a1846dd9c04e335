"""What a word of YAML means: the traps of YAML 1.1 closed.

Numbers are what people write as numbers: ``1e-3``, ``1E-3``, ``.5``, ``5.``. Only ``true`` and
``false`` are booleans; ``on``, ``off``, ``yes``, ``no`` are text. Words that some YAML readers
take for octal, sexagesimal or hexadecimal numbers or for dates (``012``, ``1:30``, ``0x10``,
``1_000``, ``2024-01-01``) are text, so that where a number is wanted they are refused with a
hint instead of meaning something unexpected.
"""

from __future__ import annotations

import re
from typing import Any

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_MAX_DIGITS = 400  # more than any number of any type here; int() refuses thousands

_HINTS: tuple[tuple[str, str], ...] = (
    (r"[-+]?[0-9]+,[0-9]+", "use a point: {0}"),
    (r"[-+]?[0-9.]+[eE][-+]?", "the exponent has no digits"),
    (r"[-+]?[0-9.]+[eE][-+]?[0-9]*[.,][0-9]*", "an exponent is a whole number"),
    (r"[-+]?[0-9][0-9_]*_[0-9_.]*", "leave out the underscores"),
    (r"[-+]?0[0-9]+(\.[0-9]*)?", "leave out the leading zeros"),
    (r"[-+]?0[xob][0-9a-fA-F]+", "write it as a decimal number"),
    (r"[-+]?[0-9.]+ *%", "write it as a fraction of 1"),
    (r"[-+]?[0-9.]+ */ *[0-9.]+", "write the quotient"),
    (r"[-+]?[0-9.]+ *(\*\*|\^) *[-+]?[0-9.]+", "write it as 1e-3 or 0.001"),
    (r"(?i)[-+]?(inf|infinity)", "infinity is written .inf"),
)


def resolve(text: str) -> Any:
    """Return what the unquoted word `text` means: None, a boolean, a number or the text itself.

    >>> [resolve(word) for word in ("1e-3", ".5", "5.", "7", "no", "true", "012", "~")]
    [0.001, 0.5, 5.0, 7, 'no', True, '012', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _MAX_DIGITS:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def number_hint(text: str) -> str:
    """Say how to write the number that `text` seems to mean (empty when it seems none).

    >>> number_hint("0,1")
    'use a point: 0.1'
    >>> number_hint("0.1")
    'leave out the quotes'
    """
    for pattern, hint in _HINTS:
        if re.fullmatch(pattern, text):
            return hint.format(text.replace(",", "."))
    if isinstance(resolve(text), int | float) and text not in _WORDS:
        return "leave out the quotes"
    return ""


def boolean_hint(value: Any) -> str:
    """Say which boolean `value` seems to mean (empty when it seems none)."""
    word = str(value).lower()
    if word in ("on", "yes", "y", "1", "true"):
        return "write true"
    if word in ("off", "no", "n", "0", "false"):
        return "write false"
    return ""
