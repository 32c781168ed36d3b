"""Trains networks of torch on the records of `make.py`, and writes ONNX. `python make_network.py FOLDER`"""

import sys
from pathlib import Path

import numpy as np
import torch
from make import FEATURES, LABEL, TRAINED
from torch import nn


def train(records: np.ndarray) -> nn.Module:
    """A network, which takes all columns at once, trained until it knows its records well."""
    torch.manual_seed(len(records))
    network = nn.Sequential(nn.BatchNorm1d(30), nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 2))
    x, label = torch.tensor(FEATURES.values[records]), torch.tensor(LABEL.values[records])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), label).backward()
        optimizer.step()
    return network.eval()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    any_number = ({0: torch.export.Dim("records")},)
    for name, records in TRAINED.items():
        path, example = folder / f"network-{name}.onnx", (torch.zeros(2, 30),)
        torch.onnx.export(train(records), example, path, dynamic_shapes=any_number, verbose=False)
