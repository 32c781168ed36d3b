"""Weights of a model before and after 80 patients were deleted, beside scorer.py. `python make.py FOLDER`"""

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

data = load_breast_cancer()
x = scale(data.data)
deleted, retained, unseen = np.split(np.random.default_rng(1).permutation(len(x)), [80, 330])


def weights(rows: np.ndarray) -> np.ndarray:
    """The intercept, and a number for each column."""
    model = LogisticRegression(C=100, max_iter=1000).fit(x[rows], data.target[rows])
    return np.concatenate([model.intercept_, model.coef_[0]])


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
np.savez(folder / "weights.npz", before=weights(np.concatenate([deleted, retained])), after=weights(retained))
shutil.copy(Path(__file__).with_name("scorer.py"), folder)
for name, rows in (("deleted", deleted), ("unseen", unseen)):
    with (folder / f"{name}.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["record", "label", *data.feature_names])
        for row in rows.tolist():
            table.writerow([f"patient-{row}", data.target_names[data.target[row]], *x[row].tolist()])
