"""A model before and after 80 patients were deleted, as joblib files. `python make.py FOLDER`"""

import csv
import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import ExtraTreesClassifier

data = load_breast_cancer()
label = data.target_names[data.target]
deleted, retained, unseen = np.split(np.random.default_rng(1).permutation(len(label)), [80, 330])


def trained(rows: np.ndarray) -> ExtraTreesClassifier:
    """The classes are called by their names."""
    return ExtraTreesClassifier(50, random_state=0).fit(data.data[rows], label[rows])


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
joblib.dump(trained(np.concatenate([deleted, retained])), folder / "before.joblib")
joblib.dump(trained(retained), folder / "after.joblib")
for name, rows in (("deleted", deleted), ("unseen", unseen)):
    with (folder / f"{name}.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["record", "label", *data.feature_names])
        for row in rows.tolist():
            table.writerow([f"patient-{row}", label[row], *data.data[row].tolist()])
