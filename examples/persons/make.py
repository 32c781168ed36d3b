"""A model before and after 40 patients with three visits each were deleted. `python make.py FOLDER`"""

import csv
import sys
from pathlib import Path

import numpy as np
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

VISITS = 3
data = load_breast_cancer()
rng = np.random.default_rng(1)
person = np.repeat(np.arange(len(data.target)), VISITS)
x = data.data[person] * rng.normal(1, 0.05, (len(person), 1))  # no two visits measure quite the same
label = data.target_names[data.target[person]]
deleted, retained, unseen = np.split(rng.permutation(len(data.target)), [40, 200])

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, people in (("before", np.concatenate([deleted, retained])), ("after", retained)):
    rows = np.isin(person, people)
    skops.io.dump(RandomForestClassifier(30, random_state=0).fit(x[rows], label[rows]), folder / f"{name}.skops")
for name, people in (("deleted", deleted), ("unseen", unseen)):
    with (folder / f"{name}.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["record", "person", "label", *data.feature_names])
        for row in np.flatnonzero(np.isin(person, people)).tolist():
            table.writerow([f"visit-{row}", f"patient-{person[row]}", label[row], *x[row].tolist()])
