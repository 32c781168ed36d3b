"""A pipeline before and after 80 patients were deleted, as skops files. `python make.py FOLDER`"""

import sys
from pathlib import Path

import numpy as np
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

data = load_breast_cancer(as_frame=True)
patients = data.data.assign(clinic=np.random.default_rng(0).choice(["north", "south"], len(data.data)))
label = np.asarray(data.target_names)[data.target]
deleted, retained, unseen = np.split(np.random.default_rng(1).permutation(len(patients)), [80, 330])


def trained(rows: np.ndarray) -> Pipeline:
    """Columns by name: numbers are scaled, texts encoded."""
    columns = ColumnTransformer(
        [("scaled", StandardScaler(), data.data.columns.tolist()), ("encoded", OneHotEncoder(), ["clinic"])]
    )
    return make_pipeline(columns, RandomForestClassifier(30, random_state=0)).fit(patients.iloc[rows], label[rows])


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
skops.io.dump(trained(np.concatenate([deleted, retained])), folder / "before.skops")
skops.io.dump(trained(retained), folder / "after.skops")
for name, rows in (("deleted", deleted), ("unseen", unseen)):
    table = patients.iloc[rows].assign(record=[f"patient-{row}" for row in rows], label=label[rows])
    table.to_csv(folder / f"{name}.csv", index=False)
