"""Trainers: `keep` [M, N] in (which record trains which model), `M` models out.

Original, retrained, sharded and shadow models differ only in `keep`.

    trainer = SklearnTrainer(DecisionTreeClassifier(max_leaf_nodes=10))    # or Model("tree").trainer()
    models = trainer.fit(TrainingData(x, label, n_classes=2), keep, streams=streams)
    log_posteriors = models.log_posteriors(x, model=np.zeros(len(x), int))       # of model 0, [Q, K]
    check_trainer(trainer)                                                       # conformance of your own
"""

from aftertrace.trainers._compile import compile_all, is_compiled
from aftertrace.trainers._conformance import TRAINER_CHECKS, check_trainer
from aftertrace.trainers._forest import ForestModels, ForestTrainer, TreeTrainer
from aftertrace.trainers._image_networks import DenseNet121, ResNet50
from aftertrace.trainers._imported_network import ImportedNetwork
from aftertrace.trainers._logistic import LogisticModels, LogisticTrainer
from aftertrace.trainers._network import CNN, MLP, EarlyStopping, Network, NetworkModels, NetworkTrainer
from aftertrace.trainers._presets import NAMES, Model, Preset
from aftertrace.trainers._private_logistic import PrivateLogisticModels, PrivateLogisticTrainer
from aftertrace.trainers._private_network import PrivateNetworkTrainer
from aftertrace.trainers._private_tree import PrivateTreeModels, PrivateTreeTrainer
from aftertrace.trainers._protocol import (
    ALLOWED,
    Adjacency,
    Base,
    Bounded,
    Certified,
    Continuing,
    Guarantee,
    Models,
    Private,
    Promise,
    Saveable,
    Seeding,
    Shortened,
    Size,
    Trainer,
    TrainingData,
)
from aftertrace.trainers._sklearn import SklearnModels, SklearnTrainer

__all__ = [
    "ALLOWED",
    "CNN",
    "MLP",
    "NAMES",
    "TRAINER_CHECKS",
    "Adjacency",
    "Base",
    "Bounded",
    "Certified",
    "Continuing",
    "DenseNet121",
    "EarlyStopping",
    "ForestModels",
    "ForestTrainer",
    "Guarantee",
    "ImportedNetwork",
    "LogisticModels",
    "LogisticTrainer",
    "Model",
    "Models",
    "Network",
    "NetworkModels",
    "NetworkTrainer",
    "Preset",
    "Private",
    "PrivateLogisticModels",
    "PrivateLogisticTrainer",
    "PrivateNetworkTrainer",
    "PrivateTreeModels",
    "PrivateTreeTrainer",
    "Promise",
    "ResNet50",
    "Saveable",
    "Seeding",
    "Shortened",
    "Size",
    "SklearnModels",
    "SklearnTrainer",
    "Trainer",
    "TrainingData",
    "TreeTrainer",
    "check_trainer",
    "compile_all",
    "is_compiled",
]
