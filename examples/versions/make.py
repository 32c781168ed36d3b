"""A model of three weeks: 50 patients leave in the first, 50 in the second. `python make.py FOLDER`"""

import csv
import sys
from pathlib import Path

import numpy as np
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

data = load_breast_cancer()
label = data.target_names[data.target]
first, second, retained, unseen = np.split(np.random.default_rng(1).permutation(len(label)), [50, 100, 350])

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
trained_on = ([first, second, retained], [second, retained], [retained])
for week, parts in enumerate(trained_on):
    rows = np.concatenate(parts)
    model = RandomForestClassifier(30, random_state=week).fit(data.data[rows], label[rows])
    skops.io.dump(model, folder / f"week-{week}.skops")
with (folder / "records.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["record", "role", "left", "label", *data.feature_names])
    for role, left, rows in (("deleted", 1, first), ("deleted", 2, second), ("unseen", "", unseen)):
        for row in rows.tolist():
            table.writerow([f"patient-{row}", role, left, label[row], *data.data[row].tolist()])
