"""Trains a network before and after deletions, and writes weights and records. `python make.py FOLDER`"""

import sys
from pathlib import Path

import numpy as np
import torch
from network import make
from safetensors.torch import save_file
from sklearn.datasets import load_digits

IMAGES, LABEL = load_digits(return_X_y=True)
IMAGES = (IMAGES / 16).astype(np.float32).reshape(-1, 1, 8, 8)
DELETED, RETAINED, UNSEEN = np.split(np.random.default_rng(0).permutation(len(LABEL))[:900], [150, 400])


def train(records: np.ndarray, seed: int) -> torch.nn.Module:
    """The network of these records, trained until it knows them well."""
    torch.manual_seed(seed)
    network, x, label = make(), torch.tensor(IMAGES[records]), torch.tensor(LABEL[records])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), label).backward()
        optimizer.step()
    return network


def write(path: Path, records: np.ndarray) -> None:
    """Images [Q, 1, 8, 8], their labels and the names of the records."""
    names = np.array([f"digit-{record}" for record in records])
    np.savez(path, x=IMAGES[records], label=LABEL[records].astype(str), record=names)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    before, after = train(np.concatenate([DELETED, RETAINED]), 1), train(RETAINED, 2)
    save_file(before.state_dict(), folder / "before.safetensors")
    torch.save(after.state_dict(), folder / "after.pt")  # either form will do
    write(folder / "deleted.npz", DELETED)
    write(folder / "unseen.npz", UNSEEN)
