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
        ("no`match`.csv: is 'a`role`' meant (`match`)?", "no`match`.csv: is 'a`role`' meant (--match)?"),
    ],
)
def test_arguments_are_typed_as_options(said, typed):
    assert as_options(said, options_of(audit)) == typed


def test_what_was_given_to_a_command_stays_as_it_is():
    said = "my `match` files/x.csv: leave out {}."
    typed = as_options(said.format("`match`"), options_of(audit), given=["x", "my `match` files/x.csv"])
    assert typed == said.format("--match")


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


BACKQUOTED = r"`([a-z_]+)(?:=[^`]+)?`"
SOURCE = Path(aftertrace.__file__).parent
NAMED = {
    "_audit.py": {"shadow"},
    "_brought.py": {
        *("classes", "features", "label_column", "person_column"),
        *("deleted", "unseen", "records", "role"),
    },
    "_given.py": {"deleted", "outputs", "role", "unseen"},
    "data/_fetch.py": {"data_dir"},
    "data/_find.py": {"data_dir"},
    "engine/_engines.py": {"jobs"},
    "models/_align.py": {"classes", "outputs"},
    "models/_files.py": {"trust_pickle"},
    "models/_outputs.py": {"outputs"},
    "models/_own_features.py": {"features", "person_column"},
    "models/_parts.py": {"person_column"},
    "models/_pickled.py": {"trust_pickle"},
    "models/_records.py": {"person_column"},
    "models/_skops.py": {"trust_pickle"},
    "posteriors/_features.py": {"features"},
    "posteriors/_files.py": {"label_column", "person_column"},
    "posteriors/_versions.py": {"role"},
    "scenarios/_audit.py": {"confidence", "match", "seed"},
    "scenarios/_audit_words.py": {"claim", "limits", "match"},
    "scenarios/_plan.py": {"jobs", "memory"},
    "store/_folder.py": {"out", "force"},
    # No argument of an audit, which never says them: those of who makes canaries, and keys in a file that is written.
    "scenarios/_canaries.py": {"confidence", "out"},
    "scenarios/_starter.py": {"records"},
}
"""Between backquotes, of what an audit has options for. A name that comes new here must be the argument."""


def said_in(path):
    """The texts of a module, but for docstrings; what is filled in is a space."""
    tree = ast.parse(path.read_text())
    pieces = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):  # a whole before its pieces
        if isinstance(node, ast.JoinedStr):
            pieces |= {id(each) for each in node.values}
            yield "".join(each.value if isinstance(each, ast.Constant) else " " for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
            yield node.value


def modules(*but):
    names = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
    return {name: path for name, path in names.items() if not name.startswith(but)}


def test_what_has_an_options_name_is_an_argument():
    """Else the command types a key of a file, or an array, as an option that means something else."""
    options, found = options_of(audit), {}
    for name, path in modules("cli/").items():
        for said in said_in(path):
            named = {each for each in re.findall(BACKQUOTED, said) if each in options}
            assert not named.intersection(re.findall(BACKQUOTED, as_options(said, options))), said
            found[name] = found.get(name, set()) | named
    assert {name: named for name, named in found.items() if named} == NAMED


def test_what_python_users_call_names_no_options():
    """The command line types arguments as options; nobody types options into Python. Advice names whole commands."""
    for name, path in modules("cli/", "report/", "scenarios/_starter.py", "scenarios/_widening.py").items():
        named = [said for said in said_in(path) if re.search(r"(?<![\w-])--[a-z]", said)]
        assert not named, f"{name}: {named[0]}"
