"""Trains a network before and after deletions, and writes TorchScript and records. `python make.py FOLDER`"""

import csv
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

DATA = load_breast_cancer()
CLASSES = [str(name) for name in DATA.target_names]
DELETED, RETAINED, UNSEEN = np.split(np.random.default_rng(0).permutation(len(DATA.data)), [100, 300])


class Network(nn.Module):
    """Records [Q, 30] to probabilities [Q, 2]; it carries the names of its classes."""

    def __init__(self, classes: list[str]) -> None:
        super().__init__()
        self.classes = classes
        self.layers = nn.Sequential(nn.BatchNorm1d(30), nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Probabilities."""
        return self.layers(x).softmax(dim=1)


def train(records: np.ndarray, seed: int) -> Network:
    """The network of these records, trained until it knows them well."""
    torch.manual_seed(seed)
    network = Network(CLASSES)
    x, label = torch.tensor(DATA.data[records], dtype=torch.float32), torch.tensor(DATA.target[records])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network.layers(x), label).backward()
        optimizer.step()
    return network.eval()


def write(path: Path, records: np.ndarray) -> None:
    """A table of these records, a column for each feature."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["record", "label", *DATA.feature_names])
        for record in records.tolist():
            table.writerow([f"patient-{record}", CLASSES[DATA.target[record]], *DATA.data[record].tolist()])


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is; many services still run on it
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in {"before": np.concatenate([DELETED, RETAINED]), "after": RETAINED}.items():
        torch.jit.script(train(records, len(name))).save(folder / f"{name}.ts")
    write(folder / "deleted.csv", DELETED)
    write(folder / "unseen.csv", UNSEEN)
