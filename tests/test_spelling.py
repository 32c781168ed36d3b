"""Names in messages, and how the command line types what the library says."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from typer.main import get_command

import aftertrace
from aftertrace._spelling import as_options, nearest_file
from aftertrace.cli import app
from aftertrace.cli._audit import audit
from aftertrace.cli._words import options_of


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("Say `label_column`.", "Say --label-column."),
        ("Say `label_column='klass'`.", "Say --label-column klass."),
        ("Say `label_column='my class'`.", "Say --label-column 'my class'."),
        ("Say `match=True`, or `confidence=0.9`.", "Say --match, or --confidence 0.9."),
        ("`label` [Q] and `aftertrace list attacks` stay.", "`label` [Q] and `aftertrace list attacks` stay."),
        ("So does the column 'role', and what `x.toml` holds.", "So does the column 'role', and what `x.toml` holds."),
    ],
)
def test_arguments_are_typed_as_options(said, typed):
    assert as_options(said, options_of(audit)) == typed


def test_options_are_those_that_help_shows():
    commands = {each.name or each.callback.__name__: each.callback for each in app.registered_commands}
    assert {"audit", "run", "report"} <= commands.keys()
    for name, command in commands.items():
        shown = get_command(app).commands[name].params
        options = {each.name: each.opts[0] for each in shown if each.opts[0].startswith("--") and each.name != "help"}
        assert options_of(command) == options
    assert options_of(commands["run"])["changes"] == "--set"


def test_every_option_of_an_audit_is_an_argument_of_that_name():
    """Else a message names one that the command does not have."""
    own = set(inspect.signature(aftertrace.audit).parameters)
    assert set(options_of(audit)) - own == {"fail_above", "junit", "sarif", "pdf"}
    assert own - set(options_of(audit)) == {"label", "person", "procedure", "attacks", "progress"}


def test_files_that_may_be_meant(tmp_path):
    for name in ("June.csv", "june_2.csv", "july.csv"):
        (tmp_path / name).touch()
    assert nearest_file(tmp_path / "june.csv") == " (is 'June.csv' meant?)"
    assert nearest_file(tmp_path / "june2.csv.gz") == " (is 'june_2.csv' meant?)"
    for name in ("may.csv", "absent/june.csv", "x\0.csv"):
        assert nearest_file(tmp_path / name) == ""


@pytest.mark.parametrize("part", ["models", "posteriors", "data", "engine", "procedures", "_given", "_brought"])
def test_what_python_users_call_names_no_options(part):
    """The command line types arguments as options; nobody types options into Python."""
    source = Path(aftertrace.__file__).parent
    for path in (source / part).glob("*.py") if (source / part).is_dir() else [source / f"{part}.py"]:
        texts = [each.value for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Constant)]
        named = [text for text in texts if isinstance(text, str) and re.search(r"(?<![\w-])--[a-z]", text)]
        assert not named, f"{path.name}: {named[0]}"
