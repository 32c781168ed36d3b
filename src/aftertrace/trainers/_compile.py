"""Compiling what is compiled, once after installation, so that no run waits for it."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from aftertrace.trainers._forest import ForestTrainer, TreeTrainer
from aftertrace.trainers._logistic import LogisticTrainer
from aftertrace.trainers._network import MLP, NetworkTrainer
from aftertrace.trainers._protocol import Trainer, TrainingData

_SLOWEST = "_grow.grow-*.nbi"  # the index of what takes longest to compile


def compile_all() -> Iterator[str]:
    """Train tiny models by every compiled path; numba keeps the code for later processes. Yields what comes next."""
    rng = np.random.default_rng(0)
    label = np.arange(60) % 3
    numbers = rng.normal(size=(60, 4)) + label[:, None]
    categories = np.eye(30)[rng.integers(30, size=60)]
    network = NetworkTrainer(network=MLP((5,)), epochs=1)
    for name, trainer, x in (
        ("logistic", LogisticTrainer(multiclass="one-against-rest"), numbers),
        ("logistic", LogisticTrainer(), numbers),
        ("logistic", LogisticTrainer(), categories),
        ("tree", TreeTrainer(), numbers),
        ("forest", ForestTrainer(n_estimators=2), numbers),
        ("forest", ForestTrainer(n_estimators=2, coupled=True), numbers),
        ("mlp", network, numbers),
        ("mlp", replace(network, epochs=2, precision="float64"), numbers),
    ):
        yield name
        _train(trainer, TrainingData(x, label, 3))


def _train(trainer: Trainer, data: TrainingData) -> None:
    keep = np.ones((2, len(data.label)), dtype=bool)
    keep[1, 0] = False
    models = trainer.fit(data, keep, streams=[np.random.SeedSequence(0)] * 2)
    for times in (1, 9):  # few queries and many take different ways through a forest
        x = np.tile(data.x, (times, 1))
        models.log_posteriors(x, np.ones(len(x), dtype=np.int64))


def is_compiled() -> bool:
    """Whether code compiled earlier is there, so far as a look at the files tells."""
    own = os.environ.get("NUMBA_CACHE_DIR")
    places = Path(own).glob("*") if own else [Path(__file__).parent / "__pycache__"]
    return any(list(place.glob(_SLOWEST)) for place in places)
