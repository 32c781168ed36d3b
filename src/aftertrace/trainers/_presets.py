"""The models that an experiment names, with the paper's parameters or with ones that work."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aftertrace._spelling import nearest
from aftertrace.errors import ExperimentError
from aftertrace.trainers._protocol import Trainer
from aftertrace.trainers._sklearn import SklearnTrainer

Preset = Literal["working", "paper"]

_PRESETS: Mapping[str, Mapping[str, tuple[str, bool, Mapping[str, Any]]]] = {
    # name -> preset -> (class, scaled, parameters); the rest is scikit-learn's default
    "logistic": {
        "paper": ("sklearn.linear_model:LogisticRegression", True, {"max_iter": 400}),
        "working": ("sklearn.linear_model:LogisticRegression", True, {"max_iter": 10_000, "tol": 1e-9}),
    },
    "tree": dict.fromkeys(("paper", "working"), ("sklearn.tree:DecisionTreeClassifier", False, {"max_leaf_nodes": 10})),
    "forest": dict.fromkeys(
        ("paper", "working"),
        ("sklearn.ensemble:RandomForestClassifier", False, {"n_estimators": 500, "min_samples_leaf": 30}),
    ),
    "mlp": {
        "paper": (
            "sklearn.neural_network:MLPClassifier",
            False,
            {"early_stopping": True, "learning_rate_init": 0.01},
        ),
        "working": ("sklearn.neural_network:MLPClassifier", True, {"learning_rate_init": 0.001, "max_iter": 30}),
    },
}
NAMES = tuple(_PRESETS)
"""Names of the models with presets."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model by name: logistic, tree (10 leaves), forest (500 trees, 30 records per leaf), mlp, or
    `package.module:Class` for any other scikit-learn classifier.

    `preset`: "paper", the released code of arXiv 2005.02205 (logistic one against rest for more than two
    classes; an unscaled MLP at learning rate .01 with early stopping), or "working" (multinomial logistic
    regression solved to the optimum, a scaled MLP at .001 for 30 epochs); tree and forest are the same in
    both. `scaled`: standardise columns on each model's training records, or as the preset does. `params`: any
    parameter of the classifier.

    Deviations of "paper": seeds come from the run's streams instead of `random_state=0`, and the scaler is
    fitted on training records instead of on the queries.
    """

    name: str = "tree"
    preset: Preset = "working"
    scaled: bool | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def trainer(self, n_classes: int) -> Trainer:
        """The trainer of this model for `n_classes` classes. Raises `ExperimentError` for unknown names."""
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        path, scaled, parameters = self._preset()
        classifier = _load(path)
        known = sorted(classifier.get_params())
        problems = [
            f"model.params: unknown parameter {name!r} of {self.name}{nearest(name, known)}; "
            f"known are {', '.join(known)}"
            for name in self.params
            if name not in known
        ]
        if problems:
            raise ExperimentError(problems)
        classifier.set_params(**{**parameters, **self.params})
        if self.name == "logistic" and self.preset == "paper" and n_classes > 2:
            classifier = OneVsRestClassifier(classifier)
        if self.name == "logistic" and self.preset == "working" and n_classes == 2 and "solver" not in self.params:
            classifier.set_params(solver="newton-cholesky")  # a few Newton steps reach what lbfgs needs hundreds for
        if scaled if self.scaled is None else self.scaled:
            classifier = make_pipeline(StandardScaler(), classifier)
        return SklearnTrainer(classifier)

    def _preset(self) -> tuple[str, bool, Mapping[str, Any]]:
        if self.name in _PRESETS:
            return _PRESETS[self.name][self.preset]
        if ":" in self.name:
            return self.name, False, {}
        raise ExperimentError(
            [
                f"model.name: unknown model {self.name!r}{nearest(self.name, NAMES)}; known are {', '.join(NAMES)}, "
                f"or package.module:Class for another scikit-learn classifier"
            ]
        )


def _load(path: str) -> Any:
    """A new classifier of the class `package.module:Class`."""
    module, _, name = path.partition(":")
    from sklearn.base import BaseEstimator, ClassifierMixin

    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ExperimentError([f"model.name: there is no class {name!r} in module {module!r} ({error})"]) from error
    if not (isinstance(found, type) and issubclass(found, ClassifierMixin) and issubclass(found, BaseEstimator)):
        raise ExperimentError([f"model.name: must be a classifier with scikit-learn's interface, got {path}"])
    try:
        return found()
    except TypeError as error:
        raise ExperimentError([f"model.name: {path} cannot be made by name alone ({error}); use Python"]) from error
