"""What a model answered before and after 80 patients were deleted, as CSV files. `python make.py FOLDER`"""

import csv
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

data = load_breast_cancer()
label = data.target_names[data.target]
deleted, retained, unseen = np.split(np.random.default_rng(1).permutation(len(label)), [80, 330])
asked = np.concatenate([deleted, unseen])
role = ["deleted"] * len(deleted) + ["unseen"] * len(unseen)

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, rows in (("before", np.concatenate([deleted, retained])), ("after", retained)):
    model = RandomForestClassifier(50, random_state=len(rows)).fit(data.data[rows], label[rows])
    with (folder / f"{name}.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["record", "label", "role", *model.classes_])
        for row, word, answer in zip(asked.tolist(), role, model.predict_proba(data.data[asked]).tolist(), strict=True):
            table.writerow([f"patient-{row}", label[row], word, *answer])
