"""What we say to run with is what is tried: lower bounds by `make lowest`, the newest versions by `make test`."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = [
    need
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for need in map(Requirement, group)
    if need.name != PROJECT["name"]
]


def pinned(name):
    """Library -> version, of a file of constraints."""
    pins = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), flags=re.MULTILINE)
    return {canonicalize_name(library): Version(version) for library, version in pins}


def test_lowest_versions_are_the_lower_bounds():
    bounds = {canonicalize_name(need.name): Version(str(need.specifier).removeprefix(">=")) for need in NEEDED}
    assert pinned("constraints-lowest.txt") == bounds


@pytest.mark.parametrize("need", NEEDED, ids=str)
def test_a_requirement_has_one_bound_and_keeps_it(need):
    """One lower bound and no upper one, the same wherever it is named."""
    assert re.fullmatch(r">=[\d.]+", str(need.specifier))
    assert {str(other.specifier) for other in NEEDED if other.name == need.name} == {str(need.specifier)}
    assert need.specifier.contains(pinned("constraints.txt")[canonicalize_name(need.name)])
