"""Signals of Privacy Meter, in files as its code writes them.

`get_signals.py` (`get_model_signals`): float32 columns, one per model, by `numpy.save` into `signals/`.
`models/utils.py` (`prepare_models`): a bool matrix [M, N] by `numpy.save` into `models/memberships.npy`.
"""

import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from aftertrace.errors import InputError, PosteriorsError
from aftertrace.interchange import Signal, read_privacy_meter
from aftertrace.interchange import _arrays as arrays
from aftertrace.posteriors import PHI_LIMIT, Kind, Role, pseudonyms
from aftertrace.scenarios import Brought, audit_posteriors

N, M = 120, 4
BEFORE, AFTER = 2, 3


@pytest.fixture
def log_dir(tmp_path):
    """Models 0 and 1 are references; 2 is an original, and 3 its update: 20 points left, 10 came, 30 stayed."""
    rng = np.random.default_rng(0)
    member = np.zeros((M, N), dtype=bool)
    member[:2] = rng.random((2, N)) < 0.5
    member[BEFORE, :50] = True
    member[AFTER, 20:60] = True
    columns = []
    for model in range(M):
        logit = rng.normal(1, 1, N) + 2 * member[model]
        columns.append((1 / (1 + np.exp(-logit))).astype(np.float32).reshape(-1, 1))
    (tmp_path / "signals").mkdir()
    (tmp_path / "models").mkdir()
    np.save(tmp_path / "signals" / "rmia_signals.npy", np.concatenate(columns, axis=1))
    np.save(tmp_path / "models" / "memberships.npy", member)
    return tmp_path


def files(folder):
    return folder / "signals" / "rmia_signals.npy", folder / "models" / "memberships.npy"


def read(folder, **changes):
    return read_privacy_meter(*files(folder), **{"before": BEFORE, "after": AFTER, "signal": Signal.SOFTMAX, **changes})


def test_roles_follow_from_memberships_and_scores_are_logits(log_dir):
    table = read(log_dir)
    share = np.load(files(log_dir)[0]).astype(float)[:, [BEFORE, AFTER]]
    assert table.kind is Kind.SCORE
    assert np.allclose(table.confidence, np.log(share) - np.log1p(-share), atol=1e-9)
    expected = [Role.DELETED] * 20 + [Role.RETAINED] * 30 + [Role.ADDED] * 10 + [Role.UNSEEN] * 60
    assert table.role.tolist() == expected


def test_the_models_are_those_asked_for(log_dir):
    turned = read(log_dir, before=AFTER, after=BEFORE)
    assert np.array_equal(turned.confidence, read(log_dir).confidence[:, ::-1])
    assert turned.role[0] == Role.ADDED


def test_points_are_pseudonyms(log_dir):
    assert read(log_dir, key=b"k").record.tolist() == pseudonyms(map(str, range(N)), b"k").tolist()


def test_a_loss_says_the_same(log_dir):
    share = np.load(files(log_dir)[0]).astype(float)
    path = log_dir / "signals" / "loss_signals.npy"
    np.save(path, -np.log(share))
    loss = read_privacy_meter(path, files(log_dir)[1], before=BEFORE, after=AFTER, signal=Signal.LOSS)
    assert np.allclose(loss.confidence, read(log_dir).confidence, atol=1e-6)


@pytest.mark.parametrize(
    ("signal", "values"), [(Signal.SOFTMAX, (0.0, 1.0, 0.5)), (Signal.LOSS, (800.0, 0.0, np.log(2)))]
)
def test_signals_that_are_certain(log_dir, signal, values):
    array = np.full((N, M), values[2])
    array[0], array[1] = values[:2]
    np.save(files(log_dir)[0], array)
    table = read(log_dir, signal=signal)
    assert np.allclose(table.confidence[:3, 0], [-PHI_LIMIT, PHI_LIMIT, 0], atol=1e-12)


def test_a_population_was_never_seen(log_dir):
    path = log_dir / "signals" / "rmia_signals_pop.npy"
    np.save(path, np.full((7, M), 0.25, dtype=np.float32))
    table = read(log_dir, population=path)
    assert len(table) == N + 7
    assert (table.role[N:] == Role.UNSEEN).all()
    assert np.allclose(table.confidence[N:], np.log(1 / 3))
    assert len(set(table.record.tolist())) == N + 7
    np.save(path, np.full((7, M + 1), 0.25))
    with pytest.raises(PosteriorsError, match="a column for each of 4 models; got 5"):
        read(log_dir, population=path)


def test_a_compressed_file_gives_the_same(log_dir):
    signals, memberships = files(log_dir)
    np.savez_compressed(signals.with_suffix(".npz"), signals=np.load(signals))
    table = read_privacy_meter(
        signals.with_suffix(".npz"), memberships, before=BEFORE, after=AFTER, signal=Signal.SOFTMAX
    )
    assert np.array_equal(table.confidence, read(log_dir).confidence)


def test_memberships_may_be_numbers(log_dir):
    np.save(files(log_dir)[1], np.load(files(log_dir)[1]).astype(np.float64))
    assert read(log_dir).role[0] == Role.DELETED


def test_the_table_can_be_audited(log_dir):
    result, _ = audit_posteriors(Brought(table=read(log_dir)))
    assert (result.counts.deleted, result.counts.unseen) == (20, 60)
    assert result.attack(result.verdict.attack).auc.estimate > 0.8


def test_the_example_prints_a_verdict(log_dir):
    example = Path(__file__).parents[2] / "examples" / "interchange" / "privacy_meter.py"
    command = [sys.executable, example, log_dir, str(BEFORE), str(AFTER)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "AUC" in done.stdout


def changed(path, change):
    array = np.load(path)
    np.save(path, change(array))


def one(value):
    def change(array):
        array = array.astype(float)
        array[1, 2] = value
        return array

    return change


@pytest.mark.parametrize(
    ("which", "change", "message"),
    [
        (0, one(1.5), "signals of kind softmax must be numbers from 0 to 1; the first model has 1.5 for point 1"),
        (0, one(-0.1), "must be numbers from 0 to 1"),
        (0, one(np.nan), "has nan for point 1"),
        (0, lambda a: a[:, 0], r"signals must be numbers \[N, M\].*got float32 \(120,\)"),
        (0, lambda a: a.astype(str), r"got <U\d+ \(120, 4\)"),
        (0, lambda a: a[:50], r"got \(50, 4\) and \(4, 120\)\. If Privacy Meter asked a sample"),
        (0, lambda a: a.T, r"got \(4, 120\) and \(4, 120\)"),
        (1, lambda a: a[:2], r"got \(120, 4\) and \(2, 120\)"),
        (1, lambda a: a + 1, "memberships must be 0 or 1; model 0 has 2 for point"),
        (1, one(0.5), "memberships must be 0 or 1; model 1 has 0.5 for point 2"),
        (1, one(np.nan), "memberships must be 0 or 1; model 1 has nan for point 2"),
        (1, lambda a: a[0], r"memberships must be \[M, N\]"),
        (1, lambda a: a.astype(str), r"memberships must be \[M, N\]"),
    ],
)
def test_files_that_do_not_fit(log_dir, which, change, message):
    changed(files(log_dir)[which], change)
    with pytest.raises(PosteriorsError, match=message) as caught:
        read(log_dir)
    assert "\n" not in str(caught.value)
    assert files(log_dir)[which].name in str(caught.value)


def test_losses_are_not_negative(log_dir):
    changed(files(log_dir)[0], one(-0.5))
    with pytest.raises(
        PosteriorsError, match="signals of kind loss must be numbers of 0 or more; the first model has -0.5"
    ):
        read(log_dir, signal=Signal.LOSS)


@pytest.mark.parametrize(("before", "after"), [(0, 4), (-1, 0), (9, 9), (1, 1)])
def test_models_that_there_are_not(log_dir, before, after):
    with pytest.raises(InputError, match=f"two different models from 0 to 3; got {before} and {after}"):
        read(log_dir, before=before, after=after)


class Trap:
    """What unpickling would run."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("name", ["signals.pkl", "signals.npy", "signals.npz", "signals.csv", "signals.bin"])
def test_pickles_are_never_opened(log_dir, name):
    """A pickle under any name, and arrays of objects."""
    path, mark = log_dir / name, log_dir / "executed"
    path.write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(PosteriorsError, match=re.escape(name)) as caught:
        read_privacy_meter(path, files(log_dir)[1], before=0, after=1, signal=Signal.SOFTMAX)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_arrays_of_objects_are_never_opened(log_dir):
    mark = log_dir / "executed"
    np.save(files(log_dir)[0], np.array([[Trap(mark)]], dtype=object))
    with pytest.raises(PosteriorsError, match="not a readable .npy file of numbers or texts"):
        read(log_dir)
    assert not mark.exists()


def test_a_header_that_promises_too_much(log_dir):
    path = files(log_dir)[0]
    path.write_bytes(path.read_bytes().replace(b"(120, 4), }" + 11 * b" ", b"(120, 4" + 11 * b"0" + b"), }"))
    with pytest.raises(PosteriorsError, match="not a readable .npy file.*greater than file size"):
        read(log_dir)


@pytest.mark.parametrize("name", ["signals.npy", "signals.npz", "signals.csv"])
def test_damaged_files_say_so_in_a_line(log_dir, name):
    """Bytes changed and cut at random: a table or one line, never another error."""
    path, rng = log_dir / name, np.random.default_rng(0)
    values = np.round(rng.random((6, 2)), 3)
    np.savez_compressed(path, values) if name.endswith("npz") else np.save(path, values)
    if name.endswith("csv"):
        np.savetxt(path, values, delimiter=",")
    whole, said = bytearray(path.read_bytes()), []
    for _ in range(150):
        damaged = whole[: rng.integers(1, len(whole) + 1)] if rng.random() < 0.3 else bytearray(whole)
        for place in rng.integers(0, min(len(damaged), 120), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            arrays.read_array(path)
        except PosteriorsError as error:
            said.append(str(error))
    assert len(said) > 20
    assert all("\n" not in message and path.name in message for message in said)


def test_archives_that_are_traps(log_dir, monkeypatch):
    path = log_dir / "signals.npz"
    np.savez_compressed(path, a=np.zeros((N, M)))
    monkeypatch.setattr(arrays, "MOST_BYTES", 1000)
    with pytest.raises(PosteriorsError, match="at most 1000 bytes is allowed, and it holds 1 of 3968"):
        arrays.read_array(path)
    np.savez(path, a=np.zeros(1), b=np.zeros(1))
    with pytest.raises(PosteriorsError, match="one array of at most"):
        arrays.read_array(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"")
    with pytest.raises(PosteriorsError, match="not a readable .npz file"):
        arrays.read_array(path)


def test_no_file(tmp_path):
    with pytest.raises(PosteriorsError, match="there is no such file"):
        arrays.read_array(tmp_path / "nothing.npy")
