"""Trains a pipeline before and after deletions, and writes ONNX and records. `python make.py FOLDER`"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TABLE = load_breast_cancer(as_frame=True)
FEATURES, LABEL = TABLE.data.astype(np.float32), TABLE.target
DELETED, RETAINED, UNSEEN = np.split(np.random.default_rng(0).permutation(len(LABEL)), [100, 300])
TRAINED = {"before": np.concatenate([DELETED, RETAINED]), "after": RETAINED}


def pipeline(records: np.ndarray) -> bytes:
    """A pipeline of scikit-learn, which takes its columns by name."""
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=100)).fit(FEATURES.iloc[records], LABEL[records])
    return to_onnx(fitted, FEATURES[:1]).SerializeToString()


def table(records: np.ndarray) -> pd.DataFrame:
    """These records with their names and labels."""
    names = pd.DataFrame({"record": [f"patient-{record}" for record in records], "label": LABEL.values[records]})
    return pd.concat([names, FEATURES.iloc[records].reset_index(drop=True)], axis=1)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in TRAINED.items():
        (folder / f"{name}.onnx").write_bytes(pipeline(records))
    table(DELETED).to_csv(folder / "deleted.csv", index=False)
    table(UNSEEN).to_csv(folder / "unseen.csv", index=False)
