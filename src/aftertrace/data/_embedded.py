"""Data sets that come inside scikit-learn."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aftertrace.data._dataset import Dataset


@dataclass(frozen=True)
class Digits:
    """Handwritten digits: 1 797 records of 8 x 8 grey levels 0..16, 10 classes."""

    name: ClassVar[str] = "digits"


@dataclass(frozen=True)
class BreastCancer:
    """Breast Cancer Wisconsin (Diagnostic): 569 records, 30 features, malignant or benign."""

    name: ClassVar[str] = "breast-cancer"


@dataclass(frozen=True)
class Wine:
    """Chemical analyses of wine: 178 records, 13 features, 3 cultivars."""

    name: ClassVar[str] = "wine"


def load_embedded(spec: Digits | BreastCancer | Wine) -> Dataset:
    from sklearn import datasets

    match spec:
        case Digits():
            bunch = datasets.load_digits()
        case BreastCancer():
            bunch = datasets.load_breast_cancer()
        case Wine():
            bunch = datasets.load_wine()
    return Dataset(
        spec.name,
        bunch.data.astype(np.float64),
        bunch.target.astype(np.int64),
        tuple(map(str, bunch.target_names)),
        tuple(map(str, bunch.feature_names)),
    )
