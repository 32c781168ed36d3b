"""The deployer's models before and after 60 patients were deleted, and public data. `python make.py FOLDER`"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

data = load_breast_cancer(as_frame=True)
deleted, retained, unseen, public = np.split(np.random.default_rng(1).permutation(len(data.data)), [60, 200, 380])
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, rows in (("before", np.concatenate([deleted, retained])), ("after", retained)):
    np.savez(folder / f"{name}.npz", x=data.data.to_numpy()[rows], label=data.target.to_numpy()[rows])
    records, model = folder / f"{name}.npz", folder / f"{name}.onnx"
    subprocess.run([sys.executable, "train.py", records, model, "0"], check=True)
for name, rows in (("deleted", deleted), ("unseen", unseen), ("public", public)):
    data.data.iloc[rows].assign(label=data.target.iloc[rows]).to_csv(folder / f"{name}.csv", index=False)
