"""Trains a network before and after deletions, and writes .pt2 files and records. `python make.py FOLDER`"""

import csv
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

DATA = load_breast_cancer()
DELETED, RETAINED, UNSEEN = np.split(np.random.default_rng(0).permutation(len(DATA.data)), [100, 300])


def train(records: np.ndarray, seed: int) -> nn.Module:
    """The network of these records, trained until it knows them well, in evaluation mode: else it stays in training."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.BatchNorm1d(30), nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 2))
    x, label = torch.tensor(DATA.data[records], dtype=torch.float32), torch.tensor(DATA.target[records])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), label).backward()
        optimizer.step()
    return network.eval()


def write(path: Path, records: np.ndarray) -> None:
    """A table of these records, a column for each feature."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["record", "label", *DATA.feature_names])
        for record in records.tolist():
            table.writerow([f"patient-{record}", DATA.target[record], *DATA.data[record].tolist()])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in {"before": np.concatenate([DELETED, RETAINED]), "after": RETAINED}.items():
        example, any_number = torch.zeros(2, 30), {0: torch.export.Dim("records")}
        program = torch.export.export(train(records, len(name)), (example,), dynamic_shapes=(any_number,))
        torch.export.save(program, folder / f"{name}.pt2")
    write(folder / "deleted.csv", DELETED)
    write(folder / "unseen.csv", UNSEEN)
