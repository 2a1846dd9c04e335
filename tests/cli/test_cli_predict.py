"""predict, evaluate, and fit with saved weights."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mxtrain.cli import command_line

ROOT = Path(__file__).parents[2]
FILES = ROOT / "tests" / "golden" / "files"
CONFIG = """\
seed: 3
data:
  train: {path: train.csv, label: kind}
  eval: {path: test.csv}
  batch_size: 8
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 8}
  - {op: Activation, name: act1, act_type: tanh}
  - {op: FullyConnected, name: fc2, num_hidden: 3}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: sgd, learning_rate: 0.3}
fit: {num_epoch: 6, metrics: [accuracy]}
"""
KINDS = ("red, dark", 'the "blue"', "grün")


def write_table(path: Path, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "y", "kind"])
        for n in range(rows):
            x, y = rng.normal((n % 3) * 2 - 2, 0.3, 2)
            writer.writerow([f"{x:.4f}", f"{y:.4f}", KINDS[n % 3]])


def invoke(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(command_line, [str(a) for a in arguments], prog_name="mxtrain")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, a config and the run made of them."""
    folder = tmp_path_factory.mktemp("cli")
    write_table(folder / "train.csv", 48, 1)
    write_table(folder / "test.csv", 20, 2)
    (folder / "config.yaml").write_text(CONFIG)
    assert invoke("fit", folder / "config.yaml", "-q", "-o", folder / "run").exit_code == 0
    return folder


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_predict_writes_csv_with_the_names_of_the_classes(trained: Path) -> None:
    result = invoke("predict", trained / "run", trained / "test.csv")
    assert result.exit_code == 0
    found = rows_of(result.stdout)
    assert list(found[0]) == ["prediction", "probability"]
    assert [row["prediction"] for row in found] == [KINDS[n % 3] for n in range(20)]
    assert result.stderr == ""


def test_predict_json_writes_a_line_for_each_row(trained: Path) -> None:
    result = invoke("predict", trained / "run", trained / "test.csv", "--json", "--probabilities")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == 20
    assert set(found[0]) == {
        *("prediction", "probability"),
        *(f"probability_{kind}" for kind in KINDS),
    }
    table = rows_of(invoke("predict", trained / "run", trained / "test.csv").stdout)
    assert [row["probability"] for row in found] == [float(row["probability"]) for row in table]


def read(path: Path) -> dict[str, list[Any]]:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name].tolist() for name in archive}
    import polars as pl

    readers = {".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}
    return dict(readers[path.suffix](path).to_dict(as_series=False))


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet", ".npz"])
def test_every_format_has_the_same_predictions(trained: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p{ending}"
    result = invoke("predict", trained / "run", trained / "test.csv", "-o", path)
    assert result.exit_code == 0
    assert result.stdout.startswith("20 predictions of ")
    assert str(path) in result.stdout
    found = read(path)
    wanted = rows_of(invoke("predict", trained / "run", trained / "test.csv").stdout)
    assert list(found) == ["prediction", "probability"]
    assert found["prediction"] == [row["prediction"] for row in wanted]
    assert found["probability"] == pytest.approx([float(row["probability"]) for row in wanted])
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_what_was_written_may_be_told_as_json_or_not_at_all(trained: Path, tmp_path: Path) -> None:
    arguments = ("predict", trained / "run", trained / "test.csv", "-o", tmp_path / "p.csv")
    told = json.loads(invoke(*arguments, "--json").stdout)
    assert (told["rows"], told["epoch"]) == (20, 6)
    assert told["weights"].endswith("model-0006.params")
    assert invoke(*arguments, "--overwrite", "-q").output == ""


def test_a_file_that_is_there_is_replaced_only_on_demand(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("precious")
    arguments = ("predict", trained / "run", trained / "test.csv", "-o", path)
    refused = invoke(*arguments)
    assert refused.exit_code == 2
    assert "p.csv' is there already; choose another name, or --overwrite" in refused.output
    assert path.read_text() == "precious"
    assert invoke(*arguments, "--overwrite").exit_code == 0
    assert len(rows_of(path.read_text(encoding="utf-8"))) == 20


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("model", ["run", "pair/model"])
def test_rows_from_a_pipe_are_refused(
    trained: Path, tmp_path: Path, command: str, model: str
) -> None:
    pair = trained / "pair"
    pair.mkdir(exist_ok=True)
    for name in ("model-symbol.json", "model-0006.params"):
        shutil.copy(trained / "run" / name, pair)
    pipe = tmp_path / "63"  # <(...) of a shell is called so
    os.mkfifo(pipe)
    result = invoke(command, trained / model, pipe)
    assert result.exit_code == 2
    assert "63: is a pipe or a device, which can be read only once" in result.output


@pytest.mark.parametrize(("command", "names"), [("predict", "x, y"), ("evaluate", "kind, x, y")])
def test_all_columns_that_are_missing_are_told(
    trained: Path, tmp_path: Path, command: str, names: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    result = invoke(command, trained / "run", path)
    assert result.exit_code == 2
    shown = ", ".join(f"'{name}'" for name in names.split(", "))
    assert f"has no columns {shown}; it has: a, b" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "run", "tset.csv"), "tset.csv: cannot be read: No such file"),
        (("predict", "rnu", "test.csv"), "did you mean 'run'?"),
        (("predict", "run", "test.csv", "-o", "p.xls"), "end in one of .csv, .jsonl, .parquet"),
        (("predict", "run", "test.csv", "-o", "test.csv"), "would replace the data"),
        (("predict", "run", "test.csv", "-o", "test.csv", "--overwrite"), "would replace the data"),
        (("predict", "run", "test.csv", "--overwrite"), "--overwrite needs --output"),
        (("predict", "run", "test.csv", "-o", "no/p.csv"), "p.csv: No such file or directory"),
        (("predict", "run", "test.csv", "--epoch", "9"), "after epoch 9; there are those after"),
        (("predict", "run", "test.csv", "--batch-size", "0"), "0 is not in the range"),
        (("predict", "run", "run"), "run: cannot be read: Is a directory"),
        (("evaluate", "run", "test.csv", "--metrics", "acuracy"), "did you mean 'accuracy'?"),
        (("evaluate", "run", "test.csv", "--label", "knid"), "did you mean 'kind'?"),
        (("evaluate", "run", "--label", "kind"), "--label needs DATA"),
        (("evaluate", "run", "--ignore", "x"), "--ignore needs DATA"),
        (("evaluate", "run", "--ignore", "x", "--label", "y"), "--label and --ignore need DATA"),
        (("evaluate", "run", "test.csv", "--metrics", "f1"), "f1 is for two classes"),
        (("fit", "config.yaml", "--weights", "rnu"), "(did you mean 'run'?)"),
        (("fit", "config.yaml", "--allow-missing"), "weights.file: missing"),
    ],
)
def test_mistakes_are_told_in_a_line(
    trained: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(trained)
    before = (trained / "test.csv").read_bytes()
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert (trained / "test.csv").read_bytes() == before


def test_evaluate_gives_the_numbers_of_the_run(trained: Path) -> None:
    found = json.loads(invoke("evaluate", trained / "run", "--json").stdout)
    last = json.loads((trained / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert found["values"] == {name: last[f"eval_{name}"] for name in ("loss", "accuracy")}
    assert (found["rows"], found["epoch"], found["confusion"]) == (20, 6, [])


def test_evaluate_shows_metrics_and_classes(trained: Path) -> None:
    result = invoke("evaluate", trained / "run", trained / "train.csv", "--confusion")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].endswith("model-0006.params, epoch 6")
    assert lines[1].endswith("train.csv, 48 rows")
    assert any(line.split() == ["accuracy", "1"] for line in lines)
    assert any(line.split()[-3:] == ["16", "1.0000", "1.0000"] for line in lines if line)
    assert max(map(len, lines[2:])) <= 80
    (confusion,) = json.loads(
        invoke("evaluate", trained / "run", trained / "train.csv", "--confusion", "--json").stdout
    )["confusion"]
    assert np.trace(confusion["counts"]) == 48
    assert [row["recall"] for row in confusion["recognized"]] == [1, 1, 1]


def test_a_model_of_mxnet_is_predicted_and_measured(tmp_path: Path) -> None:
    recorded = np.load(FILES / "mlp-io.npz")
    data, wanted = recorded["in/data"], recorded["out/softmax_output"]
    path = tmp_path / "rows.csv"
    lines = [",".join([*(f"c{n}" for n in range(10)), "digit", "name"])]
    lines += [",".join([*map(str, row), str(n % 5), "x"]) for n, row in enumerate(data.tolist())]
    path.write_text("\n".join(lines) + "\n")
    result = invoke(
        "predict", FILES / "mlp", path, "--ignore", "digit", "--ignore", "name", "--probabilities"
    )
    table = [list(row.values())[2:] for row in rows_of(result.stdout)]
    np.testing.assert_allclose(np.array(table, float), wanted, rtol=0, atol=1e-6)
    found = json.loads(
        invoke(
            "evaluate", FILES / "mlp", path, "--label", "digit", "--ignore", "name", "--json"
        ).stdout
    )
    right = wanted.argmax(axis=1) == np.arange(len(data)) % 5
    assert found["values"]["accuracy"] == pytest.approx(right.mean())
    refused = invoke("predict", FILES / "mlp", path, "--ignore", "name")
    assert refused.exit_code == 2
    assert "takes 10 numbers a row" in refused.output
    assert "leave columns out with --ignore" in refused.output


def test_arrays_without_a_place_are_mentioned_apart(trained: Path, tmp_path: Path) -> None:
    from mxtrain import nd

    shutil.copy(trained / "run" / "model-symbol.json", tmp_path / "net-symbol.json")
    stored = nd.load(str(trained / "run" / "model-0006.params"))
    assert isinstance(stored, dict)
    nd.save(str(tmp_path / "net-0001.params"), stored | {"arg:old": nd.zeros((1,))})
    np.savez(tmp_path / "rows.npz", data=np.zeros((2, 2)))
    result = invoke("predict", tmp_path / "net", tmp_path / "rows.npz")
    assert "note: 1 of the arrays" in result.stderr
    assert "is not used: old" in result.stderr
    assert len(rows_of(result.stdout)) == 2


def test_a_reader_that_goes_away_ends_it_quietly(trained: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "many.csv", 20000, 3)
    command = [sys.executable, "-m", "mxtrain.cli", "predict", str(trained / "run")]
    with subprocess.Popen(
        [*command, str(tmp_path / "many.csv")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"prediction,probability\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_fit_starts_from_weights_and_says_what_it_took(trained: Path, tmp_path: Path) -> None:
    for name in ("train.csv", "test.csv"):
        shutil.copy(trained / name, tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG.replace("name: fc2", "name: fc_new"))
    result = invoke(
        *("fit", tmp_path / "config.yaml", "-o", tmp_path / "run"),
        *("--weights", trained / "run", "--allow-missing", "--ignore-extra"),
        *("--set", "fit.fixed_params=[fc1_*]"),
    )
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "model-0006.params, 2 arrays taken" in text
    assert "2 missing, so initialized: fc_new_weight, fc_new_bias" in text
    assert "2 left over: fc2_weight, fc2_bias" in text
    assert "multipliers fixed: fc1_weight, fc1_bias" in text
    summary = invoke("summary", tmp_path / "run", "--set", "fit.fixed_params=[fc1_*]")
    (line,) = (line for line in summary.stdout.splitlines() if line.startswith("fc1_weight"))
    assert line.split()[-2:] == ["fixed", "-"]
