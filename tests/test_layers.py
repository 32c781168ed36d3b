"""Imports go one way, and public faces say what they hold."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import aftertrace

SOURCE = Path(aftertrace.__file__).parent
LAYERS = [
    {"cli", "pytest_plugin"},
    {"_api", "_exposed"},
    {"_audit"},
    {"_brought", "_finished", "_question"},
    {"_given"},
    {"reproduction"},
    {"interchange", "report", "scenarios"},
    {"_keys", "results"},
    {"engine", "store"},
    {"attacks", "procedures"},
    {"trainers", "defenses"},
    {"models"},
    {"data", "posteriors", "statistics"},
    {"_arrow", "_hashing"},
    {"_absence", "_figures", "errors", "_numbering", "_random", "_spelling", "_spreadsheets", "_titles"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
PACKAGES = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))


def imports(path):
    """Names of aftertrace's parts that a module imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if node.module == "aftertrace"
                else [node.module]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("aftertrace."))


def part(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_to_the_right(path):
    own = part(path)
    if own == "__init__":
        return
    for other in imports(path):
        if other in aftertrace.__all__:  # names of the public face, which only what stands above it may use
            other = "_api"
        assert other == own or RANK[other] > RANK[own], f"{own} must not import {other}"


def test_every_part_has_a_layer():
    assert {part(path) for path in SOURCE.rglob("*.py")} - {"__init__"} == set(RANK)


def test_engine_and_store_know_no_method():
    methods = {"attacks", "procedures", "trainers", "scenarios", "statistics"}
    for name in ("engine", "store"):
        for path in (SOURCE / name).glob("*.py"):
            assert not methods & set(imports(path))


@pytest.mark.parametrize("name", PACKAGES)
def test_public_face(name):
    module = importlib.import_module(f"aftertrace.{name}")
    seen = {key for key in vars(module) if not key.startswith("_")}
    modules = {key for key in seen if isinstance(getattr(module, key), type(sys))}
    assert set(module.__all__) == seen - modules
    assert module.__all__ == sorted(module.__all__, key=lambda key: (not key.isupper(), key[0].islower(), key))
    assert module.__doc__


def test_top_level_names():
    assert set(dir(aftertrace)) == set(aftertrace.__all__)
    for name in aftertrace.__all__:
        assert getattr(aftertrace, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = aftertrace.nothing


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from aftertrace.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'sklearn', 'torch', 'scipy', 'numpy', 'pyarrow', 'altair', 'pydantic', 'jinja2'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "HEAVY []"
