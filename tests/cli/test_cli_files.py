"""inspect, diff and convert."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file, save_file

from mxtrain import nd
from mxtrain.cli import command_line
from mxtrain.op import registry

GOLDEN = Path(__file__).parents[1] / "golden" / "files"
CHECKPOINTS = sorted(path.name for path in GOLDEN.glob("*-0003.params"))
ARRAYS = sorted(
    path.name
    for path in GOLDEN.glob("*.params")
    if not path.name.startswith("bad") and path.name != "none.params"
)
LOWEST, HIGHEST = np.float32(-1.5), np.float32(2.5)


def invoke(*arguments: Any) -> Result:
    result = CliRunner().invoke(command_line, list(map(str, arguments)), prog_name="mxtrain")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def refused(*arguments: Any) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "w.params"
    weight = np.array([[LOWEST, 0], [HIGHEST, np.nan]], np.float32)
    nd.save(str(path), {"arg:fc_weight": weight, "aux:bn_mean": np.ones(2, np.float32)})
    return path


# -- inspect -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARRAYS)
def test_inspect_every_recorded_file(name: str) -> None:
    (report,) = json.loads(invoke("inspect", GOLDEN / name, "--json").output)
    assert report["kind"] == "arrays"
    found = nd.load(str(GOLDEN / name))
    arrays = list(found.values()) if isinstance(found, dict) else found
    assert [row["shape"] for row in report["arrays"]] == [list(array.shape) for array in arrays]
    assert invoke("inspect", GOLDEN / name).exit_code == 0


def test_inspect_json(weights: Path) -> None:
    (report,) = json.loads(invoke("inspect", weights, "--json").output)
    assert report["totals"] == {"parameters": 6, "bytes": 24}
    row = report["arrays"][0]
    assert (row["name"], row["dtype"], row["nbytes"]) == ("arg:fc_weight", "float32", 16)
    assert row["statistics"] == {
        "size": 4,
        "min": -1.5,
        "max": 2.5,
        "mean": 1 / 3,
        "std": pytest.approx(1.649916, abs=1e-6),
        "zeros": 1,
        "nan": 1,
        "inf": 0,
    }
    assert sum(row["histogram"]["counts"]) == 3


def test_inspect_chosen_arrays(weights: Path) -> None:
    (report,) = json.loads(invoke("inspect", weights, "--name", "fc*", "--json").output)
    assert [row["name"] for row in report["arrays"]] == ["arg:fc_weight"]
    assert report["arrays"][0]["first"] == [-1.5, 0, 2.5, "NaN"]
    assert "first values" not in invoke("inspect", weights, "--name", "*mean").output
    assert "did you mean 'fc_weight'" in refused("inspect", weights, "--name", "fc_weigth")
    assert "there are arg:fc_weight, aux:bn_mean" in refused("inspect", weights, "--name", "zzz")


def test_inspect_several_files(weights: Path) -> None:
    output = invoke("inspect", weights, GOLDEN / "mlp-symbol.json").output
    assert "arg:fc_weight" in output
    assert "format of MXNet 1.9.1, 9 operators" in output
    reports = json.loads(invoke("inspect", weights, GOLDEN / "mlp-symbol.json", "--json").output)
    assert [report["kind"] for report in reports] == ["arrays", "graph"]


@pytest.mark.parametrize("name", ["lenet-symbol.json", "lstm-symbol.json"])
def test_inspect_names_unknown_operators(name: str) -> None:
    (report,) = json.loads(invoke("inspect", GOLDEN / name, "--json").output)
    output = invoke("inspect", GOLDEN / name).output
    assert {op for op in report["operators"] if op not in registry} == set(report["unknown"])
    for op in report["unknown"]:
        assert f"unknown operator {op}: " in output


@pytest.mark.parametrize("name", ["bad_magic.params", "bad_names.params", "none.params"])
def test_inspect_refuses_bad_files(name: str) -> None:
    assert name in refused("inspect", GOLDEN / name)


def test_inspect_what_is_not_there(weights: Path) -> None:
    assert "did you mean" in refused("inspect", weights.with_name("w.param"))
    assert "not that of a run" in refused("inspect", weights.parent)
    assert "FILE" in refused("inspect")


# -- diff --------------------------------------------------------------------------------------


def test_diff_exit_codes(weights: Path, tmp_path: Path) -> None:
    same = tmp_path / "same.npz"
    invoke("convert", weights, same)
    result = invoke("diff", weights, same)
    assert (result.exit_code, result.output) == (0, "2 of 2 arrays equal, bit by bit\n")
    other = tmp_path / "other.params"
    weight = np.array([[LOWEST, 0.25], [HIGHEST, np.nan]], np.float32)
    nd.save(str(other), {"fc_weight": weight, "bn_mean": np.ones(2, np.float32)})
    result = invoke("diff", weights, other)
    assert result.exit_code == 1
    assert "1 of 4 differ" in result.output
    assert "[0,1]" in result.output
    found = json.loads(invoke("diff", weights, other, "--json").output)
    assert (found["equal"], found["arrays"][0]["largest"]) == (False, 0.25)
    assert invoke("diff", weights, other, "--tolerance", "0.25").exit_code == 0
    assert invoke("diff", weights, other, "-q").output == ""
    assert "there is no file" in refused("diff", weights, tmp_path / "no.npz")
    assert "finite" in refused("diff", weights, other, "--tolerance", "nan")
    assert "one kind" in refused("diff", weights, GOLDEN / "mlp-symbol.json")


def test_diff_of_graphs() -> None:
    result = invoke("diff", GOLDEN / "mlp-symbol.json", GOLDEN / "lenet-symbol.json")
    assert result.exit_code == 1
    assert "fc1.num_hidden" in result.output
    assert invoke("diff", GOLDEN / "mlp-symbol.json", GOLDEN / "mlp-symbol.json").exit_code == 0


# -- convert -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_come_back_byte_for_byte(tmp_path: Path, name: str, ending: str) -> None:
    between, back = tmp_path / f"w{ending}", tmp_path / "back.params"
    assert invoke("convert", GOLDEN / name, between).exit_code == 0
    assert invoke("convert", between, back).exit_code == 0
    assert back.read_bytes() == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", ["list.params", "names.params", "dtypes.params", "ranks.params"])
def test_any_names_come_back_from_safetensors(tmp_path: Path, name: str) -> None:
    between, back = tmp_path / "w.safetensors", tmp_path / "back.params"
    invoke("convert", GOLDEN / name, between)
    invoke("convert", between, back)
    assert back.read_bytes() == (GOLDEN / name).read_bytes()


def test_the_graph_tells_auxiliary_states(tmp_path: Path) -> None:
    names = {"m": np.zeros(2, np.float32), "fc1_weight": np.ones(2, np.float32)}
    save_file(names, tmp_path / "net-0001.safetensors")
    stored = json.loads((GOLDEN / "mlp-symbol.json").read_text(encoding="utf-8"))
    for node in stored["nodes"]:
        node["name"] = {"bn1_moving_mean": "m"}.get(node["name"], node["name"])
    graph = tmp_path / "net-symbol.json"

    def written(*options: Any) -> list[str]:
        target = tmp_path / "out.params"
        source = tmp_path / "net-0001.safetensors"
        result = invoke("convert", source, target, "--overwrite", *options)
        assert result.exit_code == 0, result.output
        found = nd.load(str(target))
        assert isinstance(found, dict)
        return list(found)

    assert sorted(written()) == ["arg:fc1_weight", "arg:m"]
    (tmp_path / "other.json").write_text(json.dumps(stored), encoding="utf-8")
    assert written("--symbol", tmp_path / "other.json") == ["arg:fc1_weight", "aux:m"]
    graph.write_text(json.dumps(stored), encoding="utf-8")
    assert written() == ["arg:fc1_weight", "aux:m"]
    assert sorted(written("--keep-names")) == ["fc1_weight", "m"]
    graph.write_text("{}", encoding="utf-8")
    assert sorted(written()) == ["arg:fc1_weight", "arg:m"]
    target = tmp_path / "more.params"
    assert "net-symbol" in refused(
        "convert", tmp_path / "net-0001.safetensors", target, "--symbol", graph
    )


def test_sparse_arrays_need_to_be_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "w.npz"
    assert "r, empty, r3d are sparse" in refused("convert", GOLDEN / "row_sparse.params", target)
    assert not target.exists()
    assert invoke("convert", GOLDEN / "row_sparse.params", target, "--dense").exit_code == 0
    assert invoke("diff", GOLDEN / "row_sparse.params", target).exit_code == 0
    back = tmp_path / "same.params"
    invoke("convert", GOLDEN / "csr.params", back)
    assert back.read_bytes() == (GOLDEN / "csr.params").read_bytes()


def test_bfloat16_is_said(tmp_path: Path) -> None:
    table = b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    source = tmp_path / "w.safetensors"
    source.write_bytes(len(table).to_bytes(8, "little") + table + b"\x80\x3f")
    output = invoke("convert", source, tmp_path / "out.safetensors").output
    assert "w: bfloat16 is written as float32" in output
    assert load_file(tmp_path / "out.safetensors")["w"].tolist() == [1.0]


def test_convert_refuses(weights: Path, tmp_path: Path) -> None:
    assert "--overwrite" in refused("convert", GOLDEN / "mlp-0003.params", weights)
    assert "should end in" in refused("convert", weights, tmp_path / "w.h5")
    (tmp_path / "folder.npz").mkdir()
    assert "is a folder" in refused("convert", weights, tmp_path / "folder.npz", "--overwrite")
    assert "no file of arrays" in refused("convert", GOLDEN / "mlp-symbol.json", tmp_path / "a.npz")
    np.savez(tmp_path / "short.npz", a=np.zeros(2, np.int16))
    output = refused("convert", tmp_path / "short.npz", tmp_path / "a.params")
    assert "'arg:a' has type int16" in output
    np.savez(tmp_path / "twice.npz", **{"a": np.zeros(1), "arg:a": np.zeros(1)})
    output = refused("convert", tmp_path / "twice.npz", tmp_path / "a.params")
    assert "same name" in output
    assert not (tmp_path / "a.params").exists()
    assert "No such file" in refused("convert", tmp_path / "no.npz", tmp_path / "a.params")
