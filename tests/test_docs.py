"""README and docs are true: their code runs, their links lead somewhere, the reference is new."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mxtrain.cli.catalog import KINDS, registry_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
GENERATOR = runpy.run_path(str(DOCS / "generate_reference.py"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [code for name, code in found if name == language]


def name_of(value: object) -> str:
    return value.name if isinstance(value, Path) else str(value)


# The architecture shows pieces of classes, which are no programs.
PYTHON = [page for page in PAGES if blocks(page, "python") and page.stem != "architecture"]
YAML = [(page, number) for page in PAGES for number, _ in enumerate(blocks(page, "yaml"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which paths of the documentation lead to data, configs and a model of MXNet."""
    for name in ("data", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for path in (ROOT / "tests" / "golden" / "files").glob("mlp-*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    """Run Python in a process of its own, for what it registers stays there."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_files(page: Path, folder: Path) -> str:
    """Write the Python blocks that begin with a file's name; return the others as one script."""
    script = []
    for code in blocks(page, "python"):
        named = re.match(r"# (\w+\.py)\n", code)
        if named:
            (folder / named[1]).write_text(code, encoding="utf-8")
        else:
            script.append(code)
    return "\n".join(script)


def test_there_is_code_to_run() -> None:
    assert {page.name for page in PYTHON} >= {"README.md", "guide.md"}
    assert {page.name for page, _ in YAML} >= {"README.md", "guide.md"}


@pytest.mark.parametrize("page", PYTHON, ids=name_of)
def test_python_runs(page: Path, folder: Path) -> None:
    run(folder, "-c", write_files(page, folder))


@pytest.mark.parametrize(("page", "number"), YAML, ids=name_of)
def test_yaml_is_part_of_a_config(page: Path, number: int, folder: Path) -> None:
    """Sections replace those of a whole config, which must then be right."""
    write_files(page, folder)
    code = blocks(page, "yaml")[number]
    given = re.findall(r"^(\w+):", code, re.MULTILINE)
    base = blocks(ROOT / "README.md", "yaml")[0]
    sections = re.split(r"^(?=\w)", base, flags=re.MULTILINE)
    kept = [section for section in sections if section.split(":")[0] not in given]
    (folder / "config.yaml").write_text("".join(kept) + code, encoding="utf-8")
    run(folder, "-m", "mxtrain.cli", "validate")


def skeleton(text: str) -> list[str]:
    """Return the lines that stay when numbers, and the room they take, are taken out."""
    text = re.sub(r"\d[\d.,:]*(e-\d+)?k?s?", "#", re.sub(r" best$|★", "", text, flags=re.MULTILINE))
    lines = (re.sub(r"[ ─]+", " ", line).strip() for line in text.splitlines())
    return [line for line in lines if line not in ("", "...")]


def test_readme_shows_what_is_printed_in_a_pipe(folder: Path) -> None:
    page = ROOT / "README.md"
    (folder / "config.yaml").write_text(blocks(page, "yaml")[0], encoding="utf-8")
    text = run(folder, "-m", "mxtrain.cli", "fit")
    printed = skeleton(text)
    in_terminal, in_pipe = (skeleton(text) for text in blocks(page, "text"))
    assert len(in_pipe) >= 3
    assert [line for line in in_pipe if line not in printed] == []
    # What a terminal shows around its table is the same.
    labels = {word for word in re.findall(r"^\w+", text, re.MULTILINE) if word != "epoch"}
    around = [line for line in in_terminal if line.split()[0] in labels]
    assert len(around) >= 10
    assert [line for line in around if line not in printed] == []


@pytest.mark.parametrize("name", GENERATOR["pages"]())
def test_reference_is_new(name: str) -> None:
    path = DOCS / "reference" / name
    assert path.read_text(encoding="utf-8") == GENERATOR["pages"]()[name], "run: make docs"


def test_reference_has_no_other_pages() -> None:
    found = {path.name for path in (DOCS / "reference").iterdir()}
    assert found == set(GENERATOR["pages"]())


@pytest.mark.parametrize("kind", KINDS)
def test_everything_registered_is_in_the_reference(kind: str) -> None:
    text = (DOCS / "reference" / f"{GENERATOR['KINDS'][kind][0]}.md").read_text(encoding="utf-8")
    names = registry_of(kind).names()
    assert names
    assert [name for name in names if f"\n## {name}\n" not in text] == []


@pytest.mark.parametrize(
    "page", [*PAGES, *sorted(DOCS.glob("reference/*.md")), *ROOT.glob("data/*/*.md")], ids=name_of
)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file) if file else page
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {GENERATOR["_anchor"](title) for title in titles}, target


def test_every_difference_has_its_test() -> None:
    tests = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")
    )
    rows = (DOCS / "mxnet-differences.md").read_text(encoding="utf-8").splitlines()
    named = [
        name for row in rows if row[:1] == "|" for name in re.findall(r"`(test_\w+)[`\[]", row)
    ]
    assert len(named) > 30
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_no_file_names_a_place_of_one_machine() -> None:
    folders = ("mxtrain", "tests", "docs", "configs", "data", "benchmarks", ".ci")
    files = [path for name in folders for path in (ROOT / name).rglob("*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.suffix in (".md", ".toml")]
    pattern = re.compile("/(" + "|".join(("home", "root", "work", "Users")) + r")/[\w.-]+")
    found = []
    for path in (*files, ROOT / "Makefile"):
        if "__pycache__" in path.parts:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert len(files) > 100
    assert found == []
