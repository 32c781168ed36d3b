"""The models of recipe.py before and after 60 patients were deleted, and public data. `python make.py FOLDER`"""

import sys
from pathlib import Path

import joblib
import numpy as np
from recipe import pipeline
from sklearn.datasets import load_breast_cancer

data = load_breast_cancer(as_frame=True)
clinics = np.random.default_rng(0).choice(["north", "south", "west"], len(data.data))
patients = data.data.assign(clinic=clinics)
deleted, retained, unseen, public = np.split(np.random.default_rng(1).permutation(len(patients)), [60, 200, 380])
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, rows in (("before", np.concatenate([deleted, retained])), ("after", retained)):
    model = pipeline(strength=1000).fit(patients.iloc[rows], data.target.iloc[rows])
    joblib.dump(model, folder / f"{name}.joblib")
for name, rows in (("deleted", deleted), ("unseen", unseen), ("public", public)):
    patients.iloc[rows].assign(label=data.target.iloc[rows]).to_csv(folder / f"{name}.csv", index=False)
