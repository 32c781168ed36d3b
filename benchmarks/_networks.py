"""Networks on one core against the plain torch loop with the same batches: ratio of medians of interleaved rounds.

The loop gets its data as tensors and does nothing beyond forward, backward and step. Beside each ratio: how far
posteriors are from the reference of the same specification in float64 after two epochs.

    OPENBLAS_NUM_THREADS=1 taskset -c 0 python benchmarks/_networks.py
"""

import time
from dataclasses import dataclass

import numpy as np
import torch

from aftertrace.trainers import CNN, MLP, NetworkTrainer, TrainingData

ROUNDS = 5


@dataclass(frozen=True)
class Case:
    name: str
    trainer: NetworkTrainer
    n: int
    n_features: int
    n_classes: int
    floor: float
    aim: float


@dataclass(frozen=True)
class Figures:
    ours: float  # seconds per model
    plain: float
    deviation: float  # of posteriors, in float64

    @property
    def ratio(self) -> float:
        return self.plain / self.ours


def cases() -> list[Case]:
    images = NetworkTrainer(network=CNN((1, 28, 28)), epochs=1, scaled=False)
    small = NetworkTrainer(network=MLP((100,)), epochs=30)
    return [
        Case("MLP 1 x 100, 168 features, 9 classes", small, 2000, 168, 9, 8, 12),
        Case("MLP 1 x 100, 14 features, 2 classes", small, 2000, 14, 2, 15, 25),
        Case(
            "MLP 256-128-64-32, 168 features",
            NetworkTrainer(network=MLP((256, 128, 64, 32)), epochs=8),
            2000,
            168,
            9,
            3.5,
            5,
        ),
        Case("CNN 28 x 28", images, 512, 784, 10, 1.15, 1.5),
    ]


def measure(case: Case) -> Figures:
    rng = np.random.default_rng(0)
    label = rng.integers(case.n_classes, size=case.n)
    x = rng.normal(size=(case.n, case.n_features))
    x[:, :4] += label[:, None]
    data, keep = TrainingData(x, label, case.n_classes), np.ones((1, case.n), dtype=bool)
    tensors = torch.as_tensor((x - x.mean(axis=0)) / x.std(axis=0), dtype=torch.float32), torch.as_tensor(label)
    rounds = [
        (
            _seconds(lambda: case.trainer.fit(data, keep, streams=[np.random.SeedSequence(1)])),
            _seconds(lambda: _plain(case, *tensors)),
        )
        for _ in range(ROUNDS + 1)
    ]
    ours, plain = np.median(rounds[1:], axis=0)  # the first round compiles
    return Figures(float(ours), float(plain), _deviation(case, data))


def _plain(case: Case, x: torch.Tensor, label: torch.Tensor) -> None:
    trainer = case.trainer
    module = trainer.network.build(case.n_features, case.n_classes)
    optimizer = torch.optim.Adam(module.parameters(), lr=trainer.learning_rate)
    loss = torch.nn.CrossEntropyLoss()
    for _ in range(trainer.epochs):
        for batch in torch.randperm(len(x)).split(trainer.batch_size):
            optimizer.zero_grad()
            loss(module(x[batch]), label[batch]).backward()
            optimizer.step()


def _deviation(case: Case, data: TrainingData) -> float:
    """On fewer records, as the reference takes its time."""
    keep = np.zeros((1, case.n), dtype=bool)
    keep[:, : min(case.n, 1000)] = True
    if isinstance(case.trainer.network, CNN):
        keep[:, 96:] = False
    trainer, streams, query = case.trainer.short(), [np.random.SeedSequence(1)], data.x[:200]
    first, second = (
        np.exp(each.fit(data, keep, streams=streams).log_posteriors(query, np.zeros(len(query), dtype=np.int64)))
        for each in (trainer, trainer.reference())
    )
    return float(np.abs(first - second).max())


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for each in cases():
        found = measure(each)
        print(
            f"{each.name:38} ours {1e3 * found.ours:7.1f} ms, plain {1e3 * found.plain:7.1f} ms, "
            f"ratio {found.ratio:5.2f} "
            f"(floor {each.floor}, aim {each.aim}), deviation {found.deviation:.1e}"
        )
