from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mxtrain import model, nd
from mxtrain.errors import FileFormatError, MXNetError

FOLDER = Path(__file__).parent / "golden/files"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())


class Graph:
    """Stands for a symbol: all a checkpoint asks of it is to save itself."""

    def save(self, fname: str) -> None:
        Path(fname).write_text("{}", encoding="utf-8")


def test_batch_end_param() -> None:
    param = model.BatchEndParam(epoch=1, nbatch=2, eval_metric=None, locals={"a": 3})
    assert param._fields == ("epoch", "nbatch", "eval_metric", "locals")
    assert param == (1, 2, None, {"a": 3})


def test_checkpoint_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prefix = str(tmp_path / "net")
    arg = {"w": nd.array([[1, 2]]), "a:b": np.zeros(2, np.float16)}
    aux = {"mean": nd.array([3])}
    with caplog.at_level(logging.INFO):
        model.save_checkpoint(prefix, 7, Graph(), arg, aux)
        model.save_checkpoint(prefix, 12345, None, arg, aux)
    assert [record.getMessage() for record in caplog.records] == [
        f'Saved checkpoint to "{prefix}-0007.params"',
        f'Saved checkpoint to "{prefix}-12345.params"',
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "net-0007.params",
        "net-12345.params",
        "net-symbol.json",
    ]
    assert list(nd.load(f"{prefix}-0007.params")) == ["arg:w", "arg:a:b", "aux:mean"]
    args, auxs = model.load_params(prefix, 7)
    assert list(args) == ["w", "a:b"] and args["a:b"].dtype == np.float16
    assert args["w"].tolist() == [[1, 2]] and auxs["mean"].tolist() == [3]


@pytest.mark.parametrize("recorded", MANIFEST["models"], ids=lambda entry: entry["prefix"])
def test_recorded_parameters_written_again(recorded: dict[str, Any], tmp_path: Path) -> None:
    epoch = recorded["epoch"]
    arg, aux = model.load_params(str(FOLDER / recorded["prefix"]), epoch)
    assert {name: list(array.shape) for name, array in arg.items()} == recorded["arg_shapes"]
    assert {name: list(array.shape) for name, array in aux.items()} == recorded["aux_shapes"]
    model.save_checkpoint(str(tmp_path / "m"), epoch, None, arg, aux)
    file = f"{recorded['prefix']}-{epoch:04d}.params"
    assert (tmp_path / f"m-{epoch:04d}.params").read_bytes() == (FOLDER / file).read_bytes()


def test_entries_with_another_prefix_are_left_out(tmp_path: Path) -> None:
    nd.save(
        str(tmp_path / "m-0000.params"),
        {"zz:a": nd.zeros(1), "arg:b": nd.zeros(1), "c": nd.zeros(1)},
    )
    arg, aux = model.load_params(str(tmp_path / "m"), 0)
    assert (list(arg), list(aux)) == (["b"], [])


def test_files_without_names(tmp_path: Path) -> None:
    nd.save(str(tmp_path / "m-0000.params"), [])
    assert model.load_params(str(tmp_path / "m"), 0) == ({}, {})
    nd.save(str(tmp_path / "m-0001.params"), [nd.zeros(1)])
    with pytest.raises(FileFormatError, match=r"m-0001\.params: the 1 arrays have no names"):
        model.load_params(str(tmp_path / "m"), 1)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(MXNetError, match=r"none-0001\.params"):
        model.load_params(str(tmp_path / "none"), 1)
    with pytest.raises(MXNetError, match=r"none-symbol\.json"):
        model.load_checkpoint(str(tmp_path / "none"), 1)


def test_checkpoint_with_a_real_symbol(tmp_path: Path) -> None:
    from mxtrain import symbol

    net = symbol.Variable("data") * 2
    model.save_checkpoint(str(tmp_path / "m"), 1, net, {"w": nd.zeros(1)}, {})
    loaded, arg, aux = model.load_checkpoint(str(tmp_path / "m"), 1)
    assert loaded.list_arguments() == ["data"]
    assert loaded.tojson() == net.tojson()
    assert (list(arg), list(aux)) == (["w"], [])
