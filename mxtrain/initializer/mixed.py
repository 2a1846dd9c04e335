"""Mixed: different initializers for different names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mxtrain.errors import CallError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Mixed"]


class Mixed:
    """Calls, for each name, the initializer of the first pattern that matches its beginning.

    The initializer is called with the same name, so its name rules still hold: ``Constant(3)``
    under ``".*"`` gives a bias 0. ``"bias"`` does not match ``fc_bias``; ``".*bias"`` does.

    Parameters
    ----------
    patterns : regular expressions, compared as by ``re.match``.
    initializers : one per pattern.

    Raises CallError unless there is one initializer per pattern, and ValueError for a pattern that
    is no regular expression. Calling it raises ValueError for a name that no pattern matches.

    Source: MXNet 1.9.1, class ``Mixed``.

    >>> import numpy as np
    >>> from mxtrain.initializer import Constant, InitDesc, Zero
    >>> weight = np.empty(2)
    >>> Mixed(["fc1_.*", ".*"], [Constant(3), Zero()])(InitDesc("fc1_weight"), weight)
    >>> weight.tolist()
    [3.0, 3.0]
    """

    def __init__(self, patterns: Sequence[str], initializers: Sequence[Any]) -> None:
        if len(patterns) != len(initializers):
            raise CallError(
                f"Mixed takes one initializer per pattern; there are {len(patterns)} patterns and "
                f"{len(initializers)} initializers"
            )
        self.map = list(zip(map(_compiled, patterns), initializers, strict=True))

    def _find(self, name: str) -> tuple[re.Pattern[str], Any]:
        for pattern, initializer in self.map:
            if pattern.match(name):
                return pattern, initializer
        tried = ", ".join(f"'{pattern.pattern}'" for pattern, _ in self.map)
        raise ValueError(
            f"no pattern of Mixed matches the beginning of '{name}' (tried: {tried}); "
            "end the list with '.*' to catch every name"
        )

    def __call__(self, name: str, arr: Array) -> None:
        """Fill `arr` in place by the initializer of the first pattern that matches."""
        self._find(name)[1](name, arr)

    def rule_for(
        self,
        name: str,
        attrs: Mapping[str, str] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> str:
        """Say in words how a parameter would be filled, as `Initializer.rule_for` does."""
        pattern, initializer = self._find(name)
        return f"{initializer.rule_for(name, attrs, shape)} (pattern '{pattern.pattern}')"

    def __repr__(self) -> str:
        patterns = [pattern.pattern for pattern, _ in self.map]
        return f"Mixed({patterns!r}, {[initializer for _, initializer in self.map]!r})"


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"'{pattern}' is not a regular expression: {error}") from error
