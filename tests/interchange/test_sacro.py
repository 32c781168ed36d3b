"""Target folders of SACRO-ML, as `Target.save` writes them (sacroml/attacks/target.py, 2.0.1): `target.yaml` by
`yaml.dump`, which names a file per array; CSV files are those that `Target.load_array` reads, without a header.
"""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aftertrace.errors import PosteriorsError, UnsupportedError
from aftertrace.interchange import read_sacro
from aftertrace.posteriors import Kind, Role

yaml = pytest.importorskip("yaml")

EXAMPLE = Path(__file__).parents[2] / "examples" / "interchange" / "sacro_to_csv.py"
RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(40, 3)), 6)
Y = np.arange(40) % 3
TRAINED, TESTED, GONE = np.arange(20), np.arange(20, 40), np.arange(5)
LATER = np.concatenate([TESTED, GONE])[::-1]
ATTRIBUTES = [
    *("X_train", "y_train", "X_test", "y_test", "X_train_orig", "y_train_orig", "X_test_orig", "y_test_orig"),
    *("proba_train", "proba_test", "indices_train", "indices_test"),
]


def proba(rows, *, seed):
    return np.random.default_rng(seed).dirichlet([1, 1, 1], 40)[rows]


def arrays_of(train, test, *, seed):
    kinds = {"X": X, "y": Y, "proba": proba(np.arange(40), seed=seed)}
    sides = {"train": train, "test": test}
    return {f"{kind}_{side}": array[rows] for side, rows in sides.items() for kind, array in kinds.items()}


def save(folder, arrays, *, ext="csv", **settings):
    """What `Target.save` writes, with arrays as CSV."""
    folder.mkdir(exist_ok=True)
    target = {"dataset_name": "toy", "dataset_module_path": "", "features": {}, "generalisation_gap": 0.1}
    target |= {"safemodel": [], "model_type": "SklearnModel", "model_params": {"C": 1.0}, "model_path": "model.pkl"}
    for name in ATTRIBUTES:
        target[f"{name}_path"] = f"{name}.{ext}" if name in arrays else ""
    for name, array in arrays.items():
        path = folder / f"{name}.{ext}"
        if ext == "pkl":
            path.write_bytes(pickle.dumps(array))
        elif ext == "npy":
            np.save(path, array)
        else:
            np.savetxt(path, array, delimiter=",", fmt="%s")
    text = yaml.dump({**target, **settings}, default_flow_style=False, sort_keys=False)
    (folder / "target.yaml").write_text(text)
    return folder


@pytest.fixture
def arrays():
    """Five records leave: the later folder has them in its test set, in an order of its own."""
    return arrays_of(TRAINED, TESTED, seed=1), arrays_of(TRAINED[5:], LATER, seed=2)


@pytest.fixture
def folders(tmp_path, arrays):
    return save(tmp_path / "before", arrays[0]), save(tmp_path / "after", arrays[1])


def check(table):
    assert table.kind is Kind.POSTERIOR
    assert table.classes == ("0", "1", "2")
    assert table.role.tolist() == [Role.DELETED] * 5 + [Role.RETAINED] * 15 + [Role.UNSEEN] * 20
    assert table.label.tolist() == Y.tolist()
    assert np.allclose(table.values, np.stack([proba(np.arange(40), seed=seed) for seed in (1, 2)], axis=1))


def test_records_are_matched_by_content(folders):
    check(read_sacro(*folders))


def test_numpy_files_give_the_same(tmp_path, arrays, folders):
    other = [save(tmp_path / f"npy{k}", arrays[k], ext="npy") for k in (0, 1)]
    check(read_sacro(*other))
    assert np.array_equal(read_sacro(*other).record, read_sacro(*folders).record)


def test_numbers_of_records_come_first(tmp_path, arrays):
    """They hold where contents do not: features scaled anew, and the same content twice."""
    first, last = arrays
    first |= {"indices_train": TRAINED, "indices_test": TESTED}
    last |= {"indices_train": TRAINED[5:], "indices_test": LATER}
    last |= {"X_train": last["X_train"] * 2, "X_test": last["X_test"] * 0}
    check(read_sacro(save(tmp_path / "a", first), save(tmp_path / "b", last)))


def test_original_values_come_before_processed_ones(tmp_path, arrays):
    for each in arrays:
        for side in ("train", "test"):
            each[f"X_{side}_orig"] = np.array([[f"name {row[0]}", "same"] for row in each[f"X_{side}"]])
    arrays[1]["X_train"] = arrays[1]["X_train"] + 1
    check(read_sacro(save(tmp_path / "a", arrays[0]), save(tmp_path / "b", arrays[1])))


def test_images_are_matched_by_content(tmp_path, arrays):
    for each in arrays:
        each |= {name: np.tile(each[name][:, None, :], (1, 2, 1)) for name in ("X_train", "X_test")}
    check(read_sacro(*(save(tmp_path / f"{k}", arrays[k], ext="npy") for k in (0, 1))))


def test_an_old_folder(folders):
    """`target.json`, with names in lower case (aisdc/attacks/target.py)."""
    for folder in folders:
        target = yaml.safe_load((folder / "target.yaml").read_text())
        (folder / "target.yaml").unlink()
        (folder / "target.json").write_text(json.dumps({name.lower(): value for name, value in target.items()}))
    check(read_sacro(*folders))


def test_records_become_pseudonyms(folders):
    first, second = read_sacro(*folders, key=b"1"), read_sacro(*folders, key=b"2")
    assert len(set(first.record.tolist())) == 40
    assert set(first.record.tolist()).isdisjoint(second.record.tolist())
    assert first.record.tolist() == read_sacro(*folders, key=b"1").record.tolist()


def test_classes_are_those_of_the_training_set(tmp_path, arrays):
    """Named and sorted as `predict_proba` sorts them: numbers as numbers."""
    names = np.array(["no", "yes", "perhaps"])
    for scheme, expected in ((names, ("no", "perhaps", "yes")), (np.array([10, 9, 2]), ("2", "9", "10"))):
        renamed = [{**each, **{f"y_{s}": scheme[each[f"y_{s}"]] for s in ("train", "test")}} for each in arrays]
        table = read_sacro(save(tmp_path / "a", renamed[0]), save(tmp_path / "b", renamed[1]))
        assert table.classes == expected
        assert [table.classes[k] for k in table.label[:3]] == [str(name) for name in scheme]


def test_a_class_without_records_in_training(tmp_path, arrays):
    """A network has an output for it all the same; other names are not guessed."""
    for each in arrays:
        each["y_train"], each["y_test"] = np.ones_like(each["y_train"]), np.ones_like(each["y_test"])
    table = read_sacro(save(tmp_path / "a", arrays[0]), save(tmp_path / "b", arrays[1]))
    assert table.classes == ("0", "1", "2")
    assert (table.label == 1).all()
    arrays[0]["y_train"] *= 7
    with pytest.raises(PosteriorsError, match="a column for each class of y_train.*got 3 columns and 1 classes"):
        read_sacro(save(tmp_path / "a", arrays[0]), tmp_path / "b")


def test_folders_as_sacro_itself_saves_them(tmp_path, arrays):
    """Pickles: refused, unopened."""
    first = save(tmp_path / "a", arrays[0], ext="pkl")
    with pytest.raises(PosteriorsError, match=r"must both have one of .* Pickles are not opened"):
        read_sacro(first, save(tmp_path / "b", arrays[1]))
    mixed = save(tmp_path / "c", arrays[0], proba_train_path="proba_train.pkl")
    (mixed / "proba_train.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(
        PosteriorsError, match=r"proba_train.pkl: a pickle runs code of whoever made it and is not opened"
    ):
        read_sacro(mixed, tmp_path / "b")


def changed(**arrays):
    return lambda folder: [np.savetxt(folder / f"{name}.csv", np.array(a), delimiter=",", fmt="%s")
                           for name, a in arrays.items()]  # fmt: skip


def text_of(text):
    return lambda folder: (folder / "target.yaml").write_text(text)


def setting(name, value):
    def change(folder):
        target = yaml.safe_load((folder / "target.yaml").read_text())
        (folder / "target.yaml").write_text(yaml.dump({**target, name: value}))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (text_of("a: !!python/object/apply:os.system ['exit 1']"), "not plain YAML .*python/object/apply:os.system"),
        (text_of("a: [1, 2"), "not plain YAML"),
        (text_of("- 1\n- 2\n"), "must hold names and values, got list"),
        (text_of(""), "must hold names and values, got NoneType"),
        (text_of("[" * 5000), "not plain YAML"),
        (text_of("#" * (2**20 + 1)), "must be at most 1048576 bytes"),
        (lambda folder: (folder / "target.yaml").write_bytes(b"\xff\xfe\x00"), "not readable"),
        (lambda folder: (folder / "target.yaml").unlink(), "there must be a target.yaml"),
        (
            setting("X_train_path", "../before/X_train.csv"),
            "files must lie in the folder, and '../before/X_train.csv' does",
        ),
        (setting("y_train_path", "/etc/passwd"), "files must lie in the folder"),
        (setting("y_train_path", "a\0b"), "files must lie in the folder, and 'a.x00b' does not"),
        (lambda folder: setting("y_test_path", "y.npy")(folder) or np.save(folder / "y.npy", 1), "a row per record"),
        (setting("proba_test_path", ""), "the target must name a file `proba_test_path`. Where it has a model"),
        (setting("proba_test_path", "proba.csv"), "proba.csv: there is no such file"),
        (changed(proba_train=[["a", "b", "c"]] * 15), "proba_train and proba_test must be numbers"),
        (changed(proba_train=[[1.0]] * 15, proba_test=[[1.0]] * 25), "for two classes or more"),
        (changed(proba_train=[[0.5, 0.5]] * 15), "agree in their columns"),
        (
            changed(proba_train=[[0.5, 0.5, 0]] * 14),
            "must hold as many records each, .* got 14 and 25, 15 and 25, 15 and 25",
        ),
        (changed(y_train=[*Y[5:20], 0], y_test=Y[LATER][1:]), "got 15 and 25, 16 and 24, 15 and 25"),
        (changed(X_train=X[5:19], X_test=X[[*LATER, 19]]), "got 15 and 25, 15 and 25, 14 and 26"),
        (changed(y_train=[[0.0, 1.0]] * 15, y_test=[[0.0, 1.0]] * 25), r"one class per record; got \(40, 2\)"),
        (changed(y_train=Y[5:20] + 0.5), "must be classes, whole numbers or texts; got fractions"),
        (changed(y_test=Y[LATER] + 1), "class '3' of y_test must be one that proba has a column for"),
        (changed(y_test=(Y[LATER] + 1) % 3), "Labels must agree; row 0 of .*before has '0', and the same record '1'"),
        (
            changed(y_train=Y[5:20] + 1, y_test=Y[LATER] + 1),
            r"Both models must have the same classes; .* has 3 \(it alone \['0'\]\), .*3 \(it alone \['3'\]\)",
        ),
        (changed(proba_test=[[3.0, -1.0, -1.0]] * 25), r"after \(version 1\): Posteriors must be numbers from 0 to 1"),
        (changed(proba_test=[[0.5, 0.5, 0.5]] * 25), "Rows of posteriors must sum to 1"),
        (changed(proba_test=[["nan", 0.5, 0.5]] * 25), "Posteriors must be numbers"),
        (
            changed(X_train=X[5:20] + 1),
            "15 of 40 are only in .*before, 15 of 40 only in .*Features that were scaled anew",
        ),
        (changed(X_train=X[5:20, :2], X_test=X[LATER, :2]), "X_train must agree in columns; got 3 and 2"),
        (changed(X_test=X[np.r_[LATER[:-1], 39]]), "rows 20 and 39 of training and test set have the same X_*"),
    ],
)
def test_folders_that_do_not_fit(folders, change, message):
    change(folders[1])
    with pytest.raises(PosteriorsError, match=message) as caught:
        read_sacro(*folders)
    assert "\n" not in str(caught.value)


def test_deleted_records_that_the_later_folder_lacks(tmp_path, arrays, folders):
    without = save(tmp_path / "c", arrays_of(TRAINED[5:], TESTED, seed=2))
    with pytest.raises(PosteriorsError, match="deleted ones in the later one's test set; 5 of 40 are only in"):
        read_sacro(folders[0], without)


STAND_IN = """
import numpy as np

class Target:
    def load(self, folder):
        with np.load(f"{folder}/target.npz") as arrays:
            self.__dict__.update(arrays)
        self.dataset_name = "toy"
        answers = self.answers
        self.proba_train = self.proba_test = None
        self.indices_train = self.indices_test = None
        self.model = type("Model", (), {"predict_proba": staticmethod(lambda x: answers[x[:, 0].astype(int)])})
"""


def test_the_example_saves_folders_that_can_be_read(tmp_path):
    """`examples/interchange/sacro_to_csv.py` on a stand-in for SACRO-ML, whose model is asked for what is not saved."""
    package = tmp_path / "library" / "sacroml" / "attacks"
    package.mkdir(parents=True)
    (package / "target.py").write_text(STAND_IN)
    numbered = np.column_stack([np.arange(40), X])
    for name, train, test, seed in (("before", TRAINED, TESTED, 1), ("after", TRAINED[5:], LATER, 2)):
        (tmp_path / name).mkdir()
        sides = {"X_train": numbered[train], "X_test": numbered[test], "y_train": Y[train], "y_test": Y[test]}
        np.savez(tmp_path / name / "target.npz", **sides, answers=proba(np.arange(40), seed=seed))
        subprocess.run(
            [sys.executable, EXAMPLE, name, f"{name}_csv"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "library")},
            check=True,
        )
    check(read_sacro(tmp_path / "before_csv", tmp_path / "after_csv"))


def test_without_pyyaml(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(UnsupportedError, match="target.yaml needs the library PyYAML.*pip install PyYAML"):
        read_sacro(*folders)
