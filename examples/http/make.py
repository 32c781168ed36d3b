"""Who is in the example's models: writes deleted.csv and unseen.csv into a folder. `python make.py FOLDER`"""

import csv
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

DATA = load_breast_cancer()
NAMES = [str(name) for name in DATA.feature_names]
CLASSES = [str(name) for name in DATA.target_names]
DELETED, RETAINED, UNSEEN = np.split(np.random.default_rng(0).permutation(len(DATA.data)), [100, 400])


def write(path: Path, records: np.ndarray) -> None:
    """A table of these records, a column for each feature."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["record", "label", *NAMES])
        for record in records.tolist():
            table.writerow([f"patient-{record}", CLASSES[DATA.target[record]], *DATA.data[record].tolist()])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "deleted.csv", DELETED)
    write(folder / "unseen.csv", UNSEEN)
