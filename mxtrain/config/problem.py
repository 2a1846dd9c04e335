"""What is wrong with a config, and where: positions, problems and the error that carries them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SHOWN_AT_MOST = 50
LONGEST_PATH = 200


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a source; line and column count from 1, line 0 means the source as a whole."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, at which path (``optimizer.lr``), and what to do."""

    mark: Mark
    path: str
    text: str

    def __str__(self) -> str:
        named = self.path and self.mark.source != f"--set {self.path}"
        path = f"{_one_line(self.path)[:LONGEST_PATH]}: " if named else ""
        return f"{self.mark}: {path}{_one_line(self.text)}"


def _one_line(text: str) -> str:
    """Return `text` with what a terminal would not print written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class ConfigErrors(Exception):
    """Every problem of a config, in file order; its text has one line for each.

    Parameters
    ----------
    problems : the problems, in the order in which they are shown.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:SHOWN_AT_MOST]]
        if len(self.problems) > SHOWN_AT_MOST:
            lines.append(f"and {len(self.problems) - SHOWN_AT_MOST} more problems")
        return "\n".join(lines)


class Problems:
    """Collects problems, so that all of them can be reported at once."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, mark: Mark, path: str, text: str) -> None:
        """Note a problem at `mark`; `path` may be empty for the file as a whole."""
        self._found.append(Problem(mark, path, text))

    def __len__(self) -> int:
        return len(self._found)

    def in_order(self) -> tuple[Problem, ...]:
        """Return the problems in file order, those of ``--set`` last."""

        def position(problem: Problem) -> tuple[bool, int, int]:
            return problem.mark.line == 0, problem.mark.line, problem.mark.column

        return tuple(sorted(self._found, key=position))

    def raise_if_any(self) -> None:
        """Raise `ConfigErrors` when something was found."""
        if self._found:
            raise ConfigErrors(self.in_order())


def near_files(path: Path, written: str = "") -> str:
    """Say which file beside the missing `path` may have been meant (empty when none is near).

    When the folder itself is missing that is what is said, as it was `written`.
    """
    from mxtrain.errors import closest

    folder = path.parent
    if not folder.is_dir():
        return f" (there is no folder '{Path(written or path).parent}')"
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return ""
    near = closest(path.name, names)
    return f" (did you mean '{near}'?)" if near else ""
