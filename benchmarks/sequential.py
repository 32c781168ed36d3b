"""The sequential baseline: a plain script that works the way the code released with arXiv 2005.02205 does.

One scikit-learn fit per model; each model written with joblib and read back to be queried; one call of
`predict_proba` and one row of a data frame per query; one attack classifier after the other on features built
row by row. Own code, from the description of that pipeline; its known faults are left out.

    python benchmarks/sequential.py FOLDER_OF_ADULT ORIGINALS [MODEL [TRAINED]]

MODEL: tree (default), logistic, forest, mlp. All seeds are 0, as there. With TRAINED only so many originals a side are
trained and queried, and their rows repeated for the attacks; the first line says how long that part took.
"""

import sys
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

PAIRS, RECORDS = 20, 2000


def target_model(name, seed):
    match name:
        case "tree":
            return DecisionTreeClassifier(max_leaf_nodes=10, random_state=seed)
        case "logistic":
            return make_pipeline(StandardScaler(), LogisticRegression(max_iter=400, random_state=seed))
        case "forest":
            return RandomForestClassifier(n_estimators=500, min_samples_leaf=30, random_state=seed)
        case "mlp":  # 30 epochs, as ours: no tolerance stops it
            epochs = {"max_iter": 30, "n_iter_no_change": 30, "tol": 0.0}
            network = MLPClassifier((100,), batch_size=200, learning_rate_init=0.001, random_state=seed, **epochs)
            return make_pipeline(StandardScaler(), network)
    raise SystemExit(f"MODEL must be tree, logistic, forest or mlp, got {name}")


def load_adult(folder):
    frames = [
        pd.read_csv(folder / name, header=None, skipinitialspace=True, skiprows=skip)
        for name, skip in (("adult.data", 0), ("adult.test", 1))
    ]
    table = pd.concat(frames, ignore_index=True)
    table[14] = table[14].str.rstrip(".")
    for column in table.columns:
        if not pd.api.types.is_numeric_dtype(table[column]):
            table[column] = LabelEncoder().fit_transform(table[column])
    return table.drop(columns=14).to_numpy(float), table[14].to_numpy()


def side(x, y, members, others, originals, folder, rng, name):
    """Train, write, read back, query: a data frame with a row per query."""
    for i in range(originals):
        chosen = rng.choice(members, RECORDS, replace=False)
        deleted = rng.choice(chosen, PAIRS, replace=False)
        np.save(folder / f"deleted-{i}.npy", deleted)
        model = target_model(name, 0).fit(x[chosen], y[chosen])
        joblib.dump(model, folder / f"original-{i}")
        for j, record in enumerate(deleted):
            rest = chosen[chosen != record]
            model = target_model(name, 0).fit(x[rest], y[rest])
            joblib.dump(model, folder / f"unlearned-{i}-{j}")
    frame = pd.DataFrame(columns=["original", "unlearned", "label"])
    row = 0
    for i in range(originals):
        deleted = np.load(folder / f"deleted-{i}.npy")
        original = joblib.load(folder / f"original-{i}")
        for j, record in enumerate(deleted):
            unlearned = joblib.load(folder / f"unlearned-{i}-{j}")
            for query, label in ((record, 1), (rng.choice(others), 0)):
                before, after = (model.predict_proba(x[[query]])[0] for model in (original, unlearned))
                frame.loc[row] = [before, after, label]
                row += 1
    return frame


FEATURES = {
    "DirectConcat": lambda o, u: np.concatenate([o, u]),
    "SortedConcat": lambda o, u: np.concatenate([o[np.argsort(o)], u[np.argsort(o)]]),
    "DirectDiff": lambda o, u: o - u,
    "SortedDiff": lambda o, u: (o - u)[np.argsort(o)],
    "EucDist": lambda o, u: np.array([np.linalg.norm(o - u)]),
    "Classical": lambda o, u: o,
}


def classifiers():
    return {
        "tree": DecisionTreeClassifier(max_leaf_nodes=10, random_state=0),
        "forest": RandomForestClassifier(n_estimators=500, min_samples_leaf=30, random_state=0),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=400)),
        "mlp": MLPClassifier(early_stopping=True, learning_rate_init=0.01, random_state=0),
    }


def main():
    rng = np.random.default_rng(0)
    x, y = load_adult(Path(sys.argv[1]))
    originals = int(sys.argv[2])
    name = sys.argv[3] if len(sys.argv) > 3 else "tree"
    warnings.filterwarnings("ignore", category=ConvergenceWarning)  # thirty epochs are what is asked for
    trained = int(sys.argv[4]) if len(sys.argv) > 4 else originals
    began = time.perf_counter()
    halves = np.split(rng.permutation(len(x)), 2)
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        for part, half in zip(("shadow", "target"), halves, strict=True):
            place = Path(folder) / part
            place.mkdir()
            members, others = half[: int(0.8 * len(half))], half[int(0.8 * len(half)) :]
            frames.append(side(x, y, members, others, trained, place, rng, name))
    print(f"{time.perf_counter() - began:.2f} seconds for {2 * trained} originals")
    frames = [pd.concat([frame] * (originals // trained), ignore_index=True) for frame in frames]
    shadow, target = frames
    for feature, function in FEATURES.items():
        columns = [np.stack([function(row.original, row.unlearned) for row in frame.itertuples()]) for frame in frames]
        for attack, classifier in classifiers().items():
            classifier.fit(columns[0], shadow["label"].to_numpy(int))
            score = classifier.predict_proba(columns[1])[:, 1]
            print(f"{feature}/{attack} {roc_auc_score(target['label'].to_numpy(int), score):.3f}")


if __name__ == "__main__":
    main()
