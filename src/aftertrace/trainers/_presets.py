"""The models that an experiment names, with the paper's parameters or with ones that work."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from aftertrace._spelling import nearest
from aftertrace.errors import ExperimentError
from aftertrace.trainers._forest import ForestTrainer, TreeTrainer
from aftertrace.trainers._logistic import LogisticTrainer
from aftertrace.trainers._network import CNN, MLP, EarlyStopping, NetworkTrainer
from aftertrace.trainers._protocol import Trainer
from aftertrace.trainers._sklearn import SklearnTrainer

Preset = Literal["working", "paper"]


@dataclass(frozen=True)
class _Named:
    """A model with a name: how to build its trainer, its parameters, and where else to look for more of them."""

    build: Callable[[Mapping[str, Any], bool], Trainer]  # from parameters; coupled
    parameters: tuple[str, ...]
    working: Mapping[str, Any]
    paper: Mapping[str, Any]
    elsewhere: str


def _names(*kinds: type, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    return tuple(each.name for kind in kinds for each in fields(kind) if each.name not in without)


def _logistic(parameters: Mapping[str, Any], coupled: bool) -> Trainer:
    return LogisticTrainer(**parameters)


def _tree(parameters: Mapping[str, Any], coupled: bool) -> Trainer:
    return TreeTrainer(**parameters)


def _forest(parameters: Mapping[str, Any], coupled: bool) -> Trainer:
    return ForestTrainer(coupled=coupled, **parameters)


def _mlp(parameters: Mapping[str, Any], coupled: bool) -> Trainer:
    return _network(MLP, parameters)


def _cnn(parameters: Mapping[str, Any], coupled: bool) -> Trainer:
    return _network(CNN, parameters)


def _network(kind: type[MLP] | type[CNN], parameters: Mapping[str, Any]) -> NetworkTrainer:
    shape = {name: value for name, value in parameters.items() if name in _names(kind)}
    rest = {name: value for name, value in parameters.items() if name not in shape}
    match rest.get("early_stopping"):
        case Mapping() as settings:
            rest["early_stopping"] = EarlyStopping(**settings)
        case bool(wanted):
            rest["early_stopping"] = EarlyStopping() if wanted else None
    return NetworkTrainer(network=kind(**shape), **rest)


_LOGISTIC = _Named(
    _logistic,
    _names(LogisticTrainer),
    {},
    {"multiclass": "one-against-rest"},
    "sklearn.linear_model:LogisticRegression",
)
_TREE = _Named(
    _tree, _names(TreeTrainer), {"max_leaf_nodes": 10}, {"max_leaf_nodes": 10}, "sklearn.tree:DecisionTreeClassifier"
)
_FOREST = _Named(
    _forest,
    _names(ForestTrainer, without=("coupled",)),
    {"n_estimators": 500, "min_samples_leaf": 30},
    {"n_estimators": 500, "min_samples_leaf": 30},
    "sklearn.ensemble:RandomForestClassifier",
)
_MLP = _Named(
    _mlp,
    _names(MLP, NetworkTrainer, without=("network",)),
    {"epochs": 30, "batch_size": 200},
    {
        "epochs": 200,
        "batch_size": 200,
        "learning_rate": 0.01,
        "scaled": False,
        "early_stopping": {"share": 0.1, "patience": 10, "restore": True},
    },
    "sklearn.neural_network:MLPClassifier",
)
_CNN = _Named(
    _cnn,
    _names(CNN, NetworkTrainer, without=("network",)),
    {"scaled": False},
    {"scaled": False, "learning_rate": 0.05},
    "aftertrace.trainers.NetworkTrainer in Python",
)
_NAMED: Mapping[str, _Named] = {"logistic": _LOGISTIC, "tree": _TREE, "forest": _FOREST, "mlp": _MLP, "cnn": _CNN}
NAMES = tuple(_NAMED)
"""Names of the models with presets."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model by name: logistic, tree (10 leaves), forest (500 trees, 30 records per leaf), mlp, cnn, or
    `package.module:Class` for any scikit-learn classifier.

    `preset`: "paper", the released code of arXiv 2005.02205 (logistic one against rest for more than two
    classes; an unscaled MLP at learning rate .01 with early stopping; SimpleCNN at .05), or "working" (multinomial
    logistic regression; a scaled MLP at .001 for 30 epochs; SimpleCNN at .001); tree and forest are the same in
    both. `scaled`: standardise columns on each model's training records, or as the preset does; trees do not
    notice. `params`: parameters of `LogisticTrainer`, `TreeTrainer`, `ForestTrainer`, or of `NetworkTrainer` with
    its `MLP` or `CNN`; of another classifier, its own.

    Deviations of "paper": seeds come from the run's streams instead of `random_state=0`; the scaler is fitted on
    training records instead of on the queries; logistic regression is solved to the optimum, where scikit-learn
    stops at a tolerance as large as the effect of one deletion; the MLP starts from PyTorch's weights and its early
    stopping watches the loss, scikit-learn's the accuracy.
    """

    name: str = "tree"
    preset: Preset = "working"
    scaled: bool | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def trainer(self, *, coupled: bool = False) -> Trainer:
        """The trainer of this model; `coupled`: for `seed = "coupled"`.

        Raises `ExperimentError` for unknown names and parameters.
        """
        if self.name not in _NAMED:
            return self._adapted()
        named = _NAMED[self.name]
        self._check(named.parameters, f"; for more of them, name the model {named.elsewhere!r}")
        parameters = {**(named.paper if self.preset == "paper" else named.working), **self.params}
        if self.scaled is not None and "scaled" in named.parameters:
            parameters["scaled"] = self.scaled
        try:
            return named.build(parameters, coupled)
        except (TypeError, ValueError) as error:
            raise ExperimentError([f"model.params: {error}"]) from error

    def _adapted(self) -> SklearnTrainer:
        """Any classifier by its import path, through scikit-learn's interface."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if ":" not in self.name:
            raise ExperimentError(
                [
                    f"model.name: unknown model {self.name!r}{nearest(self.name, NAMES)}; known are "
                    f"{', '.join(NAMES)}, or package.module:Class for another scikit-learn classifier"
                ]
            )
        classifier = _load(self.name)
        self._check(sorted(classifier.get_params()), "")
        classifier.set_params(**self.params)
        return SklearnTrainer(make_pipeline(StandardScaler(), classifier) if self.scaled else classifier)

    def _check(self, known: Sequence[str], advice: str) -> None:
        problems = [
            f"model.params: unknown parameter {name!r} of {self.name}{nearest(name, known)}; "
            f"known are {', '.join(known)}{advice}"
            for name in self.params
            if name not in known
        ]
        if problems:
            raise ExperimentError(problems)


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
