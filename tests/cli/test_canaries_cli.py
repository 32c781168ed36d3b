"""`aftertrace canaries`: files in, files out, a gate that can fail."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from aftertrace.cli import ExitCode
from aftertrace.cli._canaries import canaries_app


def invoke(*words):
    return CliRunner().invoke(canaries_app, [str(word) for word in words])


@pytest.fixture
def public(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.4f},{rng.choice(['yes', 'no'])}" for _ in range(300)]
    path = tmp_path / "public.csv"
    path.write_text("\n".join(["debt,bought", *rows]))
    return path


def make(public, name="c", *more):
    return invoke("make", public, "--target", "bought", "--count", 200, "--out", public.parent / name, *more)


@pytest.fixture
def versions(public):
    """Canaries, and two versions of which the first leaks: nearly every inserted canary has more confidence."""
    done = make(public, "c", "--seed", 1)
    assert done.exit_code == ExitCode.OK, done.output
    folder, rng = public.parent / "c", np.random.default_rng(2)
    coin = json.loads((folder / "canaries.json").read_text())["coin"]
    with (folder / "query.csv").open() as file:
        asked = list(csv.DictReader(file))
    for name, leak in (("v1", 0.3), ("v2", 0.0)):
        lines = ["record,label,yes,no"]
        for row, is_in in zip(asked, coin, strict=True):
            own = 0.3 + 0.2 * rng.random() + leak * is_in
            yes = own if row["bought"] == "yes" else 1 - own
            lines.append(f"{row['canary']},{row['bought']},{yes:.9f},{1 - yes:.9f}")
        (public.parent / f"{name}.csv").write_text("\n".join(lines))
    return public.parent


def check(folder, *more, before="v1", after="v2"):
    words = ("--before", folder / f"{before}.csv", "--after", folder / f"{after}.csv")
    return invoke("check", folder / "c", *words, *more)


def test_make_says_what_can_be_shown(public):
    done = make(public)
    assert done.exit_code == ExitCode.OK, done.output
    text = " ".join(done.stdout.split())
    assert "200 canaries (mislabelled) from public.csv" in text
    assert "They can show an epsilon of at most 3.02" in text
    assert done.stdout.splitlines()[-1] == f"Folder: {public.parent / 'c'}"


def test_coins_are_secret_unless_a_seed_is_given(public):
    for name, seed in (("a", ()), ("b", ()), ("c", ("--seed", 5)), ("d", ("--seed", 5))):
        assert make(public, name, *seed).exit_code == ExitCode.OK
    a, b, c, d = (json.loads((public.parent / name / "canaries.json").read_text()) for name in "abcd")
    assert a["coin"] != b["coin"]
    assert c == d
    assert "seed" not in a


def test_check_finds_the_leak(versions):
    out = versions / "found.json"
    done = check(versions, "--out", out)
    assert done.exit_code == ExitCode.OK, done.output
    assert done.stdout.startswith("EPSILON AT LEAST 3.02.")
    assert "A bound of 0 proves nothing" in done.stdout
    found = json.loads(out.read_text())
    assert found["epsilon"] == found["largest"]
    assert done.stdout.splitlines()[-1] == f"Result: {out}"


def test_check_without_a_leak(versions):
    done = check(versions, before="v2")
    assert done.exit_code == ExitCode.OK, done.output
    assert done.stdout.startswith("NO LEAK SHOWN.")


def test_the_gate(versions):
    assert check(versions, "--fail-above", "epsilon=2").exit_code == ExitCode.LIMIT_EXCEEDED
    assert check(versions, "--fail-above", "epsilon=0", before="v2").exit_code == ExitCode.OK
    never = check(versions, "--fail-above", "epsilon=4")
    assert never.exit_code == ExitCode.WRONG_USE
    assert "could never fail: 200 canaries show an epsilon of at most 3.02" in never.stderr


@pytest.mark.parametrize("text", ["epsilon", "epsilon=-1", "epsilon=x", "epsilon=inf", "auc=0.6"])
def test_bad_limits(versions, text):
    done = check(versions, "--fail-above", text)
    assert done.exit_code == ExitCode.WRONG_USE
    assert done.stderr.startswith("aftertrace: --fail-above must be epsilon=X")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--delta", "1"), "--delta must lie in [0, 1)"),
        (("--confidence", "0.2"), "--confidence must lie in [0.5, 1)"),
        (("--out", "{folder}/none/found.json"), "cannot be written"),
    ],
)
def test_mistakes_in_checking(versions, more, text):
    done = check(versions, *(word.format(folder=versions) for word in more))
    assert done.exit_code == ExitCode.WRONG_USE
    assert text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_mistakes_in_making(public):
    assert make(public).exit_code == ExitCode.OK
    again = make(public)
    assert again.exit_code == ExitCode.WRONG_USE
    assert "there are canaries here already" in again.stderr
    few = invoke("make", public, "--target", "bought", "--count", 12, "--out", public.parent / "few")
    assert few.exit_code == ExitCode.WRONG_USE
    assert "--count must be larger" in few.stderr
    assert not (public.parent / "few").exists()
