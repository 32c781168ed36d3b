"""SimpleCNN on MNIST: accuracy on unseen images, and seconds; and one pass of the large networks on CIFAR-10.

AFTERTRACE_DATA=... python benchmarks/networks.py [--seeds 2]
"""

import argparse
import time

import numpy as np
import torch
from threadpoolctl import threadpool_info

from aftertrace.data import Cifar10, Mnist, load
from aftertrace.trainers import Model, TrainingData

TRAINED, UNSEEN = 5000, 10_000


def accuracy(models, data, rows):
    values = models.log_posteriors(data.x[rows], np.zeros(len(rows), dtype=np.int64))
    return float((values.argmax(axis=1) == data.label[rows]).mean())


def trained(model, data, n, seed):
    """-> (models, seconds) on the first n records."""
    keep = np.zeros((1, len(data)), dtype=bool)
    keep[0, :n] = True
    training = TrainingData(data.x, data.label, len(data.classes))
    began = time.perf_counter()
    models = model.trainer().fit(training, keep, streams=[np.random.SeedSequence(seed)])
    return models, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    print(
        f"threads of torch: {torch.get_num_threads()}; pools:",
        [(i["internal_api"], i["num_threads"]) for i in threadpool_info()],
    )
    data = load(Mnist(records=TRAINED + UNSEEN))
    unseen = np.arange(TRAINED, TRAINED + UNSEEN)
    for seed in range(seeds):
        models, seconds = trained(Model(name="cnn"), data, TRAINED, seed)
        print(f"SimpleCNN, working, {TRAINED} MNIST images, seed {seed}: {accuracy(models, data, unseen):.4f} on "
              f"{UNSEEN} unseen (97 % asked), {seconds:.0f} s")  # fmt: skip
    photographs = load(Cifar10())
    for name in ("resnet50", "densenet121"):
        model = Model(name=name, params={"epochs": 1, "shape": [3, 32, 32]})
        _, seconds = trained(model, photographs, 500, 0)
        print(f"{name}, one epoch of 500 CIFAR-10 images: {seconds:.1f} s")


if __name__ == "__main__":
    main()
