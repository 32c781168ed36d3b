"""The models that an experiment names, with the paper's parameters or with ones that work."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal

from aftertrace._spelling import nearest
from aftertrace.errors import ExperimentError, InputError
from aftertrace.trainers._command import CommandTrainer
from aftertrace.trainers._forest import ForestTrainer, TreeTrainer
from aftertrace.trainers._image_networks import DenseNet121, ResNet50
from aftertrace.trainers._imported_network import CLASSES, FEATURES, ImportedNetwork, asked, find_maker, is_module
from aftertrace.trainers._logistic import LogisticTrainer
from aftertrace.trainers._network import CNN, MLP, EarlyStopping, Network, NetworkTrainer
from aftertrace.trainers._private_logistic import PrivateLogisticTrainer
from aftertrace.trainers._private_network import PrivateNetworkTrainer
from aftertrace.trainers._private_tree import PrivateTreeTrainer
from aftertrace.trainers._protocol import Trainer
from aftertrace.trainers._sklearn import SklearnTrainer

Preset = Literal["working", "paper"]
NONE = "None"
"""How `params` say that a classifier's parameter is None: files of settings have no word for it."""


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


def _network(kind: type[MLP | CNN | ResNet50 | DenseNet121], parameters: Mapping[str, Any], coupled: bool) -> Trainer:
    training = {name: value for name, value in parameters.items() if name in _TRAINING}
    return _trained(kind(**{name: value for name, value in parameters.items() if name not in training}), training)


def _private_logistic(parameters: Mapping[str, Any], coupled: bool) -> Trainer:
    return PrivateLogisticTrainer(**parameters)


def _private_tree(parameters: Mapping[str, Any], coupled: bool) -> Trainer:
    return PrivateTreeTrainer(**parameters)


def _private_network(kind: type[MLP | CNN], parameters: Mapping[str, Any], coupled: bool) -> Trainer:
    training = {name: value for name, value in parameters.items() if name in _names(PrivateNetworkTrainer)}
    network = kind(**{name: value for name, value in parameters.items() if name not in training})
    return PrivateNetworkTrainer(network=network, **training)


def _command(parameters: Mapping[str, Any], coupled: bool) -> Trainer:
    return CommandTrainer(**parameters)


def _trained(network: Network, training: Mapping[str, Any]) -> NetworkTrainer:
    rest = dict(training)
    match rest.get("early_stopping"):
        case Mapping() as settings:
            rest["early_stopping"] = EarlyStopping(**settings)
        case bool(wanted):
            rest["early_stopping"] = EarlyStopping() if wanted else None
    return NetworkTrainer(network=network, **rest)


_TRAINING = _names(NetworkTrainer, without=("network",))
"""What belongs to the training of a network; all else is the network's."""


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
    partial(_network, MLP),
    (*_names(MLP), *_TRAINING),
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
    partial(_network, CNN),
    (*_names(CNN), *_TRAINING),
    {"scaled": False, "epochs": 20},
    {"scaled": False, "learning_rate": 0.05},
    "aftertrace.trainers.NetworkTrainer in Python",
)
_RESNET50 = _Named(
    partial(_network, ResNet50),
    (*_names(ResNet50), *_TRAINING),
    {"scaled": False, "epochs": 10},
    {"scaled": False, "learning_rate": 0.05},
    "aftertrace.trainers.NetworkTrainer in Python",
)
_DENSENET121 = _Named(
    partial(_network, DenseNet121),
    (*_names(DenseNet121), *_TRAINING),
    {"scaled": False, "epochs": 10},
    {"scaled": False, "learning_rate": 0.05},
    "aftertrace.trainers.NetworkTrainer in Python",
)
_PRIVATE_LOGISTIC = _Named(
    _private_logistic, _names(PrivateLogisticTrainer), {}, {}, "aftertrace.trainers.PrivateLogisticTrainer in Python"
)
_PRIVATE_TREE = _Named(
    _private_tree, _names(PrivateTreeTrainer), {}, {}, "aftertrace.trainers.PrivateTreeTrainer in Python"
)
_PRIVATE_MLP = _Named(
    partial(_private_network, MLP),
    _names(MLP, PrivateNetworkTrainer, without=("network",)),
    {},
    {"sample_rate": 0.001, "learning_rate": 0.05},
    "aftertrace.trainers.PrivateNetworkTrainer in Python",
)
_PRIVATE_CNN = _Named(
    partial(_private_network, CNN),
    _names(CNN, PrivateNetworkTrainer, without=("network",)),
    {"scaled": False},
    {"scaled": False, "sample_rate": 0.001, "learning_rate": 0.05},
    "aftertrace.trainers.PrivateNetworkTrainer in Python",
)
_COMMAND = _Named(_command, _names(CommandTrainer), {}, {}, "package.module:function, which makes a classifier")
_NAMED: Mapping[str, _Named] = {
    "logistic": _LOGISTIC,
    "tree": _TREE,
    "forest": _FOREST,
    "mlp": _MLP,
    "cnn": _CNN,
    "resnet50": _RESNET50,
    "densenet121": _DENSENET121,
    "private-logistic": _PRIVATE_LOGISTIC,
    "private-tree": _PRIVATE_TREE,
    "private-mlp": _PRIVATE_MLP,
    "private-cnn": _PRIVATE_CNN,
    "command": _COMMAND,
}
NAMES = tuple(_NAMED)
"""Names of the models with presets."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model by name: logistic, tree (10 leaves), forest (500 trees, 30 records per leaf), mlp, cnn, resnet50,
    densenet121, "command" (`CommandTrainer`), or `package.module:name` for any class of a scikit-learn classifier or of
    a `torch.nn.Module`, and for any function that makes
    one of `params`, such as a pipeline.

    `preset`: "paper", the released code of arXiv 2005.02205 (logistic one against rest for more than two
    classes; an unscaled MLP at learning rate .01 with early stopping; images at .05), or "working" (multinomial
    logistic regression; a scaled MLP at .001 for 30 epochs; at the same rate 20 epochs of SimpleCNN and 10 of
    ResNet-50 and DenseNet-121); tree and forest are the same in both, and so is all that is imported.
    `scaled`: standardise columns on each model's training records, or as the preset does; trees do not notice.
    A classifier from an import path gets a data frame from data with `encoding = "frame"`, other models numbers.
    `params`: parameters of `LogisticTrainer`, `TreeTrainer`, `ForestTrainer`, or of `NetworkTrainer` with its `MLP`,
    `CNN`, `ResNet50` or `DenseNet121`; of another classifier, its own, where "None" is Python's None.

    An imported network is made as `ImportedNetwork` says, and trained by `NetworkTrainer` with its defaults, scaled
    unless `scaled` is false. Its `params` whose names are fields of `NetworkTrainer` belong to the training, `shape`
    says that records are images, and all others go to the class; a name that both have is refused.

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
            return self._imported()
        named = _NAMED[self.name]
        self._check(named.parameters, f"; for more of them, name the model {named.elsewhere!r}")
        parameters = {**(named.paper if self.preset == "paper" else named.working), **self.params}
        if self.scaled is not None and "scaled" in named.parameters:
            parameters["scaled"] = self.scaled
        try:
            return named.build(parameters, coupled)
        except (TypeError, ValueError) as error:
            raise ExperimentError([f"model.params: {error}"]) from error

    def _imported(self) -> Trainer:
        """Any network or classifier by its import path."""
        if ":" not in self.name:
            raise ExperimentError(
                [
                    f"model.name: unknown model {self.name!r}{nearest(self.name, NAMES)}; known are "
                    f"{', '.join(NAMES)}, or package.module:Class for another scikit-learn classifier or torch network"
                ]
            )
        try:
            found = find_maker(self.name)
        except InputError as error:
            raise ExperimentError([str(error)]) from error
        if not isinstance(found, type):
            return self._made(found)
        return self._module(asked(found)) if is_module(found) else self._adapted(found)

    def _made(self, function: Callable[..., Any]) -> Trainer:
        """A network or classifier that a function makes; one that asks for sizes of the data makes a network."""
        own = asked(function)
        if set(own) & {*FEATURES, *CLASSES}:
            return self._module(own)
        try:
            made = function(**{name: value for name, value in self.params.items() if name in own})
        except (TypeError, ValueError) as error:
            raise ExperimentError([f"model.params: {self.name} cannot be made: {error}"]) from error
        if is_module(type(made)):
            return self._module(own)
        self._check(list(own), "")
        return SklearnTrainer(
            _is_classifier(made, self.name), {"by": function, "name": self.name, "params": self.params}
        )

    def _module(self, asked: Mapping[str, bool]) -> NetworkTrainer:
        """A network whose class has parameters `asked`, and needs those that are true."""
        training = (*_TRAINING, "shape")
        both = [name for name in self.params if name in training and name in asked]
        if both:
            raise ExperimentError(
                [
                    f"model.params: {name!r} is a parameter of the training and of {self.name}; rename that of the "
                    f"class, or leave it at its default"
                    for name in both
                ]
            )
        self._check([*asked, *training], "")
        missing = [name for name, needed in asked.items() if needed and name not in (*self.params, *FEATURES, *CLASSES)]
        if missing:
            raise ExperimentError([f"model.params: {self.name} needs {name!r}, got none" for name in missing])
        settings = {name: value for name, value in self.params.items() if name in _TRAINING}
        if self.scaled is not None:
            settings["scaled"] = self.scaled
        own = {name: value for name, value in self.params.items() if name not in training}
        try:
            return _trained(ImportedNetwork(self.name, own, self.params.get("shape")), settings)
        except (TypeError, ValueError) as error:
            raise ExperimentError([f"model.params: {error}"]) from error

    def _adapted(self, found: type) -> SklearnTrainer:
        """A classifier through scikit-learn's interface."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        classifier = _classifier(found, self.name)
        self._check(sorted(classifier.get_params()), "")
        classifier.set_params(**{name: None if value == NONE else value for name, value in self.params.items()})
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


def _is_classifier(made: Any, path: str) -> Any:
    """What a function has made, if it is a classifier."""
    from sklearn.base import BaseEstimator

    if not (isinstance(made, BaseEstimator) and hasattr(made, "predict_proba")):
        raise ExperimentError(
            [
                f"model.name: {path} must make a classifier with fit and predict_proba, or a torch.nn.Module; made "
                f"{type(made).__name__}"
            ]
        )
    return made


def _classifier(found: type, path: str) -> Any:
    """A new classifier of a class."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    if not (issubclass(found, ClassifierMixin) and issubclass(found, BaseEstimator)):
        raise ExperimentError(
            [f"model.name: must be a torch.nn.Module or a classifier with scikit-learn's interface, got {path}"]
        )
    try:
        return found()
    except TypeError as error:
        raise ExperimentError([f"model.name: {path} cannot be made by name alone ({error}); use Python"]) from error
