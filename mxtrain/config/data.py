"""Reads ``data``: sources, what eval inherits from train, and the columns their headers name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from mxtrain.config.document import Node
from mxtrain.config.paths import existing_file
from mxtrain.config.section import BAD, Context, joined, read_section
from mxtrain.config.spec import DataSpec, FeaturesSpec, FractionSpec, Kind, SourceSpec
from mxtrain.errors import closest

_ENDINGS = {
    (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet"): "table",
    (".npz",): "npz",
}
_ONLY_FOR = {"images": "idx", "labels": "idx", "data": "npz"}
_FILES = ("path", "images", "labels")


def read_data(node: Node, path: str, context: Context) -> Any:
    """Return the `DataSpec` of `node`, or `BAD`."""
    train: Any = BAD
    if node.is_mapping and "train" in node.value:
        train = _read_source(node.value["train"], joined(path, "train"), context, None)
    spec = read_section(
        DataSpec,
        node,
        path,
        context,
        {
            "train": lambda child, inner: train,
            "eval": lambda child, inner: _read_eval(child, inner, context, train),
            "features": lambda child, inner: read_section(FeaturesSpec, child, inner, context, {}),
        },
    )
    before = len(context.problems)
    if spec is not BAD and context.looks_at_files:
        _check_columns(spec, node, path, context)
    return spec if len(context.problems) == before else BAD


def _read_eval(node: Node, path: str, context: Context, train: Any) -> Any:
    if node.value is None:
        return None
    if node.is_mapping and "fraction" in node.value:
        return read_section(FractionSpec, node, path, context, {})
    return _read_source(node, path, context, train)


def _read_source(node: Node, path: str, context: Context, train: Any) -> Any:
    """Return the `SourceSpec` of `node`, completed by what `train` says (None for train itself)."""
    before = len(context.problems)
    spec = read_section(SourceSpec, node, path, context, {})
    if spec is BAD:
        return BAD
    for key in _FILES:
        text = getattr(spec, key)
        if text is not None:
            full = existing_file(text, node.value[key], joined(path, key), context)
            spec = replace(spec, **{key: None if full is BAD else full})
    if len(context.problems) > before or train is BAD:
        return BAD
    spec = _with_kind(_inherited(spec, train), node, path, context)
    return spec if len(context.problems) == before else BAD


def _inherited(spec: SourceSpec, train: SourceSpec | None) -> SourceSpec:
    if train is None:
        return spec
    own_files = any(getattr(spec, key) is not None for key in _FILES)
    kind = spec.kind
    if not own_files:
        spec = replace(spec, path=train.path, images=train.images, labels=train.labels)
        kind = kind or train.kind
    elif spec.path and _kind_by_name(spec.path) is None:
        kind = kind or train.kind
    label = train.label if spec.label is None else spec.label
    data = train.data if spec.data is None and train.kind == "npz" else spec.data
    return replace(spec, label=label, data=data, kind=kind)


def _kind_by_name(path: str) -> str | None:
    """Return the kind of a file that its ending tells, None when it tells none."""
    name = Path(path).name.lower()
    return next((kind for endings, kind in _ENDINGS.items() if name.endswith(endings)), None)


def _with_kind(spec: SourceSpec, node: Node, path: str, context: Context) -> SourceSpec:
    """Fill in the kind, and note keys that do not go with it."""
    problems = context.problems
    kind: Any = spec.kind
    if kind is None and spec.path is not None:
        kind = _kind_by_name(spec.path)
        if kind is None:
            kinds = ", ".join(get_args(Kind))
            name = Path(spec.path).name
            text = f"cannot tell the format of '{name}' by its ending; add 'kind', one of: {kinds}"
            problems.add(node.value["path"].mark, joined(path, "path"), text)
            return spec
    kind = kind or "idx"
    needed = ("images", "labels") if kind == "idx" else ("path",)
    nothing = spec.path is None and spec.images is None and spec.labels is None
    for key in ("path",) if nothing and spec.kind is None else needed:
        if getattr(spec, key) is None:
            problems.add(node.mark, joined(path, key), f"missing: {_file_meaning(key)}")
    for key, only in _ONLY_FOR.items():
        if key in node.value and kind != only and not nothing:
            where, text = node.keys[key], f"only for kind {only}; this source is {kind}"
            problems.add(where, joined(path, key), text)
    if kind == "idx" and "path" in node.value and not nothing:
        text = "kind idx takes 'images' and 'labels' instead"
        problems.add(node.keys["path"], joined(path, "path"), text)
    spec = replace(spec, kind=kind)
    return _with_usual_arrays(spec) if kind == "npz" and context.looks_at_files else spec


def _with_usual_arrays(spec: SourceSpec) -> SourceSpec:
    """Fill in the names of arrays that are not given, as they are usually called."""
    if spec.path is None or (spec.data is not None and spec.label is not None):
        return spec
    from mxtrain.io.usual_names import USUAL_NAMES

    try:
        there = _arrays_of(spec.path)
    except (OSError, ValueError, RuntimeError):
        return spec  # whoever needs them says what is wrong
    for data, label in USUAL_NAMES:
        if spec.data in (None, data) and data in there:
            has_label = spec.label is None and label in there
            return replace(spec, data=data, label=label if has_label else spec.label)
    return spec


def _file_meaning(key: str) -> str:
    return "the data file (CSV, Parquet or NPZ)" if key == "path" else f"the IDX file of {key}"


def feature_columns(spec: DataSpec) -> list[str] | None:
    """Return the names of the feature columns when the training data is a table, else None."""
    if spec.train.kind != "table" or spec.train.path is None:
        return None
    from mxtrain.io.table import header

    names = spec.columns or header(spec.train.path)
    dropped = {*spec.train.label_names, *spec.ignore}
    return [name for name in names if name not in dropped]


def _check_columns(spec: DataSpec, node: Node, path: str, context: Context) -> None:
    """Check the names of columns and arrays against what the files say they have."""
    train = node.value["train"]
    names = _check_source(spec.train, train, joined(path, "train"), context)
    if names is None:
        return
    before = len(context.problems)
    if spec.train.kind == "table":
        _check_selection(spec, names, node, path, context)
    if isinstance(spec.eval, SourceSpec):
        at = node.value["eval"]
        reported = {label for label in spec.train.label_names if label not in names}
        found = _check_source(spec.eval, at, joined(path, "eval"), context, reported)
        same_kind = spec.eval.kind == spec.train.kind == "table"
        if found is not None and same_kind and len(context.problems) == before:
            _check_same_features(spec, found, at, joined(path, "eval"), context)


def _check_selection(
    spec: DataSpec, names: list[str], node: Node, path: str, context: Context
) -> None:
    for key in ("columns", "ignore"):
        if key not in node.value or not getattr(spec, key):
            continue
        chosen = getattr(spec, key)
        for number, name in enumerate(chosen):
            item = node.value[key].value[number]
            where = f"{joined(path, key)}[{number}]"
            if name not in names:
                file = Path(str(spec.train.path)).name
                context.problems.add(item.mark, where, _unknown("column", name, names, file))
            elif key == "columns" and name in spec.train.label_names:
                text = f"'{name}' is the label; a feature must be another column"
                context.problems.add(item.mark, where, text)
            elif key == "columns" and name in chosen[:number]:
                context.problems.add(item.mark, where, f"'{name}' is there twice")
    if not feature_columns(spec):
        text = "no feature column is left beside label and ignored columns"
        context.problems.add(node.value["train"].mark, joined(path, "train"), text)


def _check_same_features(
    spec: DataSpec, found: list[str], node: Node, path: str, context: Context
) -> None:
    missing = [name for name in feature_columns(spec) or () if name not in found]
    if missing:
        listed = ", ".join(f"'{name}'" for name in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        where = node.value.get("path", node).mark
        text = f"lacks the column {listed}{more} of the training data"
        context.problems.add(where, joined(path, "path"), text)


def _check_source(
    spec: SourceSpec, node: Node, path: str, context: Context, reported: Collection[str] = ()
) -> list[str] | None:
    """Check label and data names of one source; return the names its file has, if it says.

    `reported` are inherited labels that are wrong already in the training data.
    """
    names = _names(spec, node, path, context)
    if names is None:
        return None
    what = "column" if spec.kind == "table" else "array"
    file = Path(str(spec.path)).name
    at = node.value.get("label") if node.is_mapping else None
    for number, label in enumerate(spec.label_names):
        if label not in names and not (at is None and label in reported):
            inside = f"[{number}]" if at is not None and at.is_list else ""
            where = node if at is None else (at.value[number] if at.is_list else at)
            text = _unknown(what, label, names, file)
            context.problems.add(where.mark, f"{joined(path, 'label')}{inside}", text)
    if spec.kind == "npz" and (spec.data or "data") not in names:
        where = node.value.get("data", node)
        text = _unknown(what, spec.data or "data", names, file)
        context.problems.add(where.mark, joined(path, "data"), text)
    return names


def _names(spec: SourceSpec, node: Node, path: str, context: Context) -> list[str] | None:
    """Return the columns of a table or the arrays of an NPZ file; None for other kinds."""
    at = node.value.get("path", node) if node.is_mapping else node
    if spec.path is None or spec.kind not in ("table", "npz"):
        return None
    try:
        return _columns_of(spec.path) if spec.kind == "table" else _arrays_of(spec.path)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).removeprefix(f"{spec.path}: ")
        context.problems.add(at.mark, joined(path, "path"), f"cannot be read: {reason}")
        return None


def _columns_of(path: str) -> list[str]:
    from mxtrain.io.table import header

    return header(path)


def _arrays_of(path: str) -> list[str]:
    from zipfile import BadZipFile, ZipFile

    from mxtrain.io.regular import require_regular

    require_regular(path)
    try:
        with ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except BadZipFile:
        raise ValueError("not an NPZ file, or damaged") from None


def _unknown(what: str, name: str, names: list[str], file: str) -> str:
    near = closest(name, names)
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    hint = f"did you mean '{near}'?" if near else f"it has: {listed or 'none'}"
    return f"'{file}' has no {what} '{name}' ({hint})"
