"""Reads tests/golden/initializers.json: every entry of it as one case with an id."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mxtrain as mx

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "initializers.json").read_text())


class Case(NamedTuple):
    """One entry: its section of the file, an id and its contents."""

    section: str
    id: str
    entry: Any


def cases() -> list[Case]:
    """All entries of the file; a section that is not a list is one case (Load: its calls)."""
    found = []
    for section, content in GOLDEN.items():
        if section == "about":
            continue
        entries = content["cases"] if section == "load" else content
        for number, entry in enumerate(entries if isinstance(entries, list) else [entries]):
            found.append(Case(section, f"{section}-{number}", entry))
    return found


ALL = cases()


def of(section: str) -> list[Any]:
    """The cases of a section, as pytest parameters with ids."""
    import pytest

    return [pytest.param(c.entry, id=c.id) for c in ALL if c.section == section]


def made(text: str) -> Any:
    """Construct what a golden text such as ``Uniform(0.5)`` or ``Constant(nd [1,2])`` says."""
    source = re.sub(r"\b(nd|np) (\[.*\])", r"\1(\2)", text)
    names = {name: getattr(mx.init, name) for name in dir(mx.init)}
    names |= {"nd": mx.nd.array, "np": np.array, "normal": "normal", "uniform": "uniform"}
    return eval(source, {"__builtins__": {}}, names)


ERRORS: dict[str, type[BaseException]] = {
    "AssertionError": AssertionError,
    "IndexError": IndexError,
    "MXNetError": mx.MXNetError,
    "TypeError": TypeError,
    "ValueError": ValueError,
    # Where the reference trips over its own variable, the word is what is wrong.
    "UnboundLocalError": ValueError,
}


def check(result: dict[str, Any], fill: Any, name: str = "") -> None:
    """Run `fill`, which fills an array, and compare with a golden result or exception."""
    import pytest

    if "error" in result:
        with pytest.raises(ERRORS[result["error"]]) as caught:
            fill(np.full(result.get("shape", [4]), np.nan, np.float32))
        assert type(caught.value) is not AssertionError
        assert name in str(caught.value)
        return
    array = np.full(result["shape"], np.nan, np.float32)
    fill(array)
    if "fill" in result:
        assert np.all(array == np.float32(result["fill"]))
    elif "values" in result:
        np.testing.assert_allclose(array, np.array(result["values"]), rtol=1e-7, atol=1e-9)
    else:
        assert result["distribution"] == "uniform"
        assert result["low"] <= array.min() < array.max() < result["high"]
