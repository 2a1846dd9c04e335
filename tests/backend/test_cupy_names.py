"""What is used of CuPy and of cuda-pathfinder is there, and takes what it is given.

Names and calls are read from the source. Needs CuPy, but neither a driver nor a device.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from functools import reduce
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import nvrtc
import pytest

import mxtrain

SOURCES = sorted(Path(mxtrain.__file__).parent.rglob("*.py"))
needs_cupy = pytest.mark.skipif(find_spec("cupy") is None, reason="CuPy is not installed")
# What is used of the objects that CuPy returns, which the source does not tell.
OF_OBJECTS = {
    "cupy.cuda.Device": ("use", "__enter__", "__exit__"),
    "cupy.cuda.Stream": ("begin_capture", "end_capture", "synchronize", "__enter__", "__exit__"),
    "cupy.cuda.MemoryPool": ("malloc",),
    "cupy.cuda.MemoryPointer": ("ptr",),
    "cupy.RawKernel": ("kernel",),
    "cupy.cuda.graph.Graph": ("launch",),
}


class Used(NamedTuple):
    """A name with its dots; where it is called, the arguments by place and by name."""

    name: str
    places: int | None = None
    keywords: tuple[str, ...] = ()


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of a chain of attributes, empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    inner = dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{inner}.{node.attr}" if inner and isinstance(node, ast.Attribute) else ""


def names_in(source: str, package: str) -> Iterator[Used]:
    """What a module uses of a package that it imports, also as ``self._package``."""
    tree = ast.parse(source)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{package}."):
            yield from (Used(f"{node.module}.{alias.name}") for alias in node.names)
        if not isinstance(node, ast.Attribute):
            continue
        name = dotted(node).replace(f"self._{package}.", f"{package}.", 1)
        if not name.startswith(f"{package}."):
            continue
        call = called.get(id(node))
        if call is None:
            yield Used(name)
        else:
            yield Used(name, len(call.args), tuple(str(each.arg) for each in call.keywords))


def used(package: str) -> set[Used]:
    return {
        each for path in SOURCES for each in names_in(path.read_text(encoding="utf-8"), package)
    }


def found(name: str) -> Any:
    """The object of a dotted name; AttributeError names what is missing."""
    first, *rest = name.split(".")
    return reduce(getattr, rest, import_module(first))


def takes(function: Callable[..., Any], places: int, keywords: tuple[str, ...]) -> bool:
    """Whether a function takes these arguments; compiled ones tell in their documentation."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        signature = told_by(function)
    try:
        signature.bind(*[None] * places, **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True


def told_by(function: Callable[..., Any]) -> inspect.Signature:
    """The signature in the first line of documentation, such as ``f(str a, int b=0) -> int``."""
    first = (function.__doc__ or "").strip().splitlines()[0]
    listed = re.search(r"\((.*)\)", first)
    assert listed is not None, f"{function} does not tell what it takes"
    texts = [text.strip() for text in listed[1].split(",")]
    plain = ", ".join(re.sub(r"^(\w+ )+(?=\w)", "", text) for text in texts)
    tree = ast.parse(f"lambda {re.sub('=[^,]*', '=None', plain)}: None", mode="eval")
    signature = inspect.signature(eval(compile(tree, "<documentation>", "eval")))
    return signature


def test_names_are_read_from_the_source() -> None:
    source = (
        "import cupy\nself._cupy.cuda.Device(0, a=1)\ncupy.b\nother.cupy.c\n"
        "from cupy.cuda import d\nfrom cupyx import e\n"
    )
    assert set(names_in(source, "cupy")) == {
        Used("cupy.cuda.Device", 1, ("a",)),
        Used("cupy.cuda"),
        Used("cupy.b"),
        Used("cupy.cuda.d"),
    }
    everything = {each.name for each in used("cupy")}
    assert {"cupy.RawKernel", "cupy.cuda.malloc_managed", "cupy.cuda.Stream"} <= everything
    assert set(OF_OBJECTS) - everything == {"cupy.cuda.MemoryPointer", "cupy.cuda.graph.Graph"}
    assert {each.name for each in used("cuda.pathfinder")} == {
        "cuda.pathfinder.DynamicLibNotFoundError",
        "cuda.pathfinder.load_nvidia_dynamic_lib",
    }


def test_what_a_function_takes() -> None:
    def compiled() -> None:
        """compiled(str a, size_t b=0, *, bool c=False) -> int"""

    told = told_by(compiled)
    assert str(told) == "(a, b=None, *, c=None)"
    vars(compiled)["__signature__"] = told
    assert takes(compiled, 1, ("c",)) and takes(compiled, 2, ())
    for places, keywords in ((0, ()), (1, ("d",)), (3, ())):
        assert not takes(compiled, places, keywords)


@needs_cupy
@pytest.mark.parametrize("each", sorted(used("cupy"), key=str), ids=lambda each: each.name)
def test_every_name_of_cupy_is_there_as_it_is_called(each: Used) -> None:
    object_of_it = found(each.name)
    if each.places is not None:
        assert takes(object_of_it, each.places, each.keywords), each


@needs_cupy
def test_every_attribute_of_cupys_objects_is_there() -> None:
    for name, attributes in OF_OBJECTS.items():
        missing = [a for a in attributes if not hasattr(found(name), a)]
        assert not missing, f"{name} has no {missing}"


@needs_cupy
def test_a_launch_and_a_graph_take_what_they_are_given() -> None:
    """Neither gets as far as a device, but a wrong argument would be refused before that."""
    from cupy.cuda.function import Function
    from cupy.cuda.graph import Graph

    stream = SimpleNamespace(ptr=0)
    launch = Function.__new__(Function)
    with pytest.raises(TypeError, match="unexpected keyword"):
        launch((1,), (1, 1), (np.int64(0),), streams=stream)
    assert "stream" in (Graph.launch.__doc__ or "").splitlines()[0]


@needs_cupy
def test_the_pathfinder_is_there_as_it_is_called() -> None:
    pathfinder = import_module("cuda.pathfinder")
    for each in used("cuda.pathfinder"):
        assert hasattr(pathfinder, each.name.rpartition(".")[2]), each.name
    assert takes(pathfinder.load_nvidia_dynamic_lib, 1, ())
    assert "abs_path" in pathfinder.LoadedDL.__annotations__


@needs_cupy
def test_cupy_adds_this_option() -> None:
    from cupy.cuda import compiler

    assert f"'{nvrtc.ADDED}'" in inspect.getsource(compiler)
