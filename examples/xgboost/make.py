"""A model of XGBoost before and after 80 patients were deleted, as skops files. `python make.py FOLDER`"""

import sys
from pathlib import Path

import numpy as np
import skops.io
from sklearn.datasets import load_breast_cancer
from xgboost import XGBClassifier

data = load_breast_cancer(as_frame=True)
deleted, retained, unseen = np.split(np.random.default_rng(1).permutation(len(data.data)), [80, 330])


def trained(rows: np.ndarray) -> XGBClassifier:
    """Columns keep their names."""
    return XGBClassifier(n_estimators=50, random_state=0, n_jobs=1).fit(data.data.iloc[rows], data.target.iloc[rows])


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
skops.io.dump(trained(np.concatenate([deleted, retained])), folder / "before.skops")
skops.io.dump(trained(retained), folder / "after.skops")
for name, rows in (("deleted", deleted), ("unseen", unseen)):
    table = data.data.iloc[rows].assign(record=[f"patient-{row}" for row in rows], label=data.target.iloc[rows])
    table.to_csv(folder / f"{name}.csv", index=False)
