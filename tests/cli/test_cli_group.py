"""The group of commands: what is imported when, errors, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from mxtrain.cli import COMMANDS, command_line
from mxtrain.cli.errors import READER_GONE, explain
from mxtrain.errors import MXNetError, PluginError

MAIN = "from mxtrain.cli import main; main()"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command_line, list(arguments), prog_name="mxtrain")


def imported(*arguments: str) -> tuple[int, set[str]]:
    """Run a command in a process of its own; return its exit code and the modules it imported."""
    code = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(list(sys.modules)), file=sys.stderr))\n" + MAIN
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, set(json.loads(done.stderr.splitlines()[-1]))


def test_the_package_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mxtrain", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == invoke("--version").stdout


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("fit", "--help")])
def test_help_imports_only_click(arguments: tuple[str, ...]) -> None:
    code, modules = imported(*arguments)
    assert code == 0
    assert "click" in modules
    assert not modules & {"numpy", "rich", "pydantic", "yaml", "polars"}
    ours = {name for name in modules if name.startswith("mxtrain")}
    assert {name for name in ours if not name.startswith("mxtrain.cli")} <= {
        "mxtrain",
        "mxtrain.version",
    }


@pytest.mark.parametrize("name", [name for name in COMMANDS if name.startswith("list-")])
def test_listings_import_no_array_library(name: str) -> None:
    code, modules = imported(name)
    assert code == 0
    unwanted = {"numpy", "rich", "pydantic", "yaml", "polars"}
    if name == "list-metrics":
        unwanted.remove("numpy")  # metrics are computed with it
    assert not modules & unwanted


@pytest.mark.parametrize("name", COMMANDS)
def test_module_holds_the_command_of_that_name(name: str) -> None:
    command = import_module(COMMANDS[name][0]).command
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


def test_help_lists_every_command_with_its_line_unbroken() -> None:
    lines = invoke("--help").output.splitlines()
    for name, (_, short) in COMMANDS.items():
        assert any(line.split() == [name, *short.split()] for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("fitt", "fit"), ("list-optimiser", "list-optimizers"), ("sumary", "summary")],
)
def test_unknown_command_suggests_the_nearest(typed: str, meant: str) -> None:
    result = invoke(typed)
    assert result.exit_code == 2
    assert f"There is no command '{typed}'. Did you mean '{meant}'?" in result.output


def test_unknown_command_without_a_near_one_points_to_the_help() -> None:
    result = invoke("xyzzy")
    assert result.exit_code == 2
    assert "mxtrain --help" in result.output


@pytest.mark.parametrize(
    "arguments",
    [("fit", "--sedd", "1"), ("fit", "--seed", "-1"), ("fit", "--backend", "abacus"), ("show",)],
)
def test_wrong_command_line_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments).exit_code == 2


def test_version() -> None:
    from mxtrain.version import __version__

    assert invoke("--version").output == f"mxtrain {__version__}\n"


def test_missing_config_points_to_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("fit", "validate", "summary", "lr", "init"):
        result = invoke(command)
        assert result.exit_code == 2
        assert "There is no config.yaml here" in result.output
        assert "mxtrain new" in result.output


def test_misspelled_config_suggests_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text("", encoding="utf-8")
    result = invoke("validate", str(tmp_path / "digit.yaml"))
    assert result.exit_code == 2
    assert f"Did you mean '{tmp_path / 'digits.yaml'}'?" in result.output


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MXNetError("shapes do not fit"), "shapes do not fit"),
        (PluginError("no such plugin"), "no such plugin"),
        (
            FileNotFoundError(2, "No such file or directory", "a.csv"),
            "a.csv: No such file or directory",
        ),
        (OSError("disk on fire"), "disk on fire"),
        (OSError(28, "No space left on device"), "standard output: No space left on device"),
        (
            MemoryError("Unable to allocate 9 TiB"),
            "there is not enough memory: Unable to allocate 9 TiB; take fewer units, or smaller "
            "batches",
        ),
        (
            MemoryError(),
            "there is not enough memory; take fewer units, or smaller batches",
        ),
    ],
)
def test_mistakes_of_users_have_a_message(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert explain(error) == message

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("mxtrain.cli.validate.load_spec", fail)
    monkeypatch.setattr("mxtrain.cli.validate.find_config", lambda path: path)
    result = invoke("validate")
    assert (result.exit_code, result.output) == (2, message + "\n")


def test_defect_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("mxtrain.cli.validate.find_config", fail)
    assert isinstance(invoke("validate").exception, ZeroDivisionError)


def test_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mxtrain.cli.validate.find_config", interrupt)
    result = invoke("validate")
    assert (result.exit_code, result.output) == (130, "interrupted\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no broken pipes")
def test_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "list-operators", "--json"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (READER_GONE, "")


def test_completion_offers_commands_and_options() -> None:
    environment = os.environ | {"_MXTRAIN_COMPLETE": "bash_complete"}
    for words, position, expected in (
        ("mxtrain list-o", "1", {"plain,list-optimizers", "plain,list-operators"}),
        ("mxtrain fit --ov", "2", {"plain,--overwrite"}),
    ):
        done = subprocess.run(
            [sys.executable, "-c", MAIN],
            env=environment | {"COMP_WORDS": words, "COMP_CWORD": position},
            capture_output=True,
            text=True,
            check=False,
        )
        assert set(done.stdout.split()) == expected
