"""`DataError`: what is wrong in a user's data, and where."""

from __future__ import annotations

import os


class DataError(ValueError):
    """Data that cannot be trained on.

    Parameters
    ----------
    file : the file.
    problem : what is wrong.
    column : the column concerned.
    row : where it is, from 1: the line in a text file, else the row.
    value : what was found there.
    advice : what to do about it.
    in_lines : whether `row` counts lines of a text file.

    All are kept as attributes; ``str`` puts them into one line.

    >>> print(DataError("a.csv", "is not a number", column="x", row=3, value="abc"))
    a.csv:3: column 'x': 'abc' is not a number
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        problem: str,
        *,
        column: str | None = None,
        row: int | None = None,
        value: object = None,
        advice: str = "",
        in_lines: bool = True,
    ) -> None:
        self.file = str(file)
        self.problem = problem
        self.column = column
        self.row = row
        self.value = value
        self.advice = advice
        place = "" if row is None else (f":{row}" if in_lines else f": row {row}")
        parts = [self.file + place]
        if column is not None:
            parts.append(f"column '{column}'")
        parts.append(problem if value is None else f"{value!r} {problem}")
        super().__init__(": ".join(parts) + (f"; {advice}" if advice else ""))
