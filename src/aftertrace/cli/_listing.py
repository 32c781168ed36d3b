"""What `aftertrace list` and `aftertrace data` print."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aftertrace.data import Fetched


def lines(what: str) -> Iterator[str]:
    """A line per name of "attacks", "models", "procedures", "defenses", "studies" or "examples"."""
    match what:
        case "attacks":
            yield from _attacks()
        case "models":
            from aftertrace.trainers import NAMES

            yield "logistic  logistic regression, scaled, solved to the optimum; paper: one against rest"
            yield "tree      decision tree of 10 leaves"
            yield "forest    random forest of 500 trees, 30 records per leaf"
            yield "mlp       one hidden layer of 100; paper: unscaled, rate .01; working: scaled, rate .001, 30 epochs"
            yield "cnn       the paper's SimpleCNN on images; paper: rate .05, 50 epochs; working: rate .001, 20 epochs"
            yield "resnet50, densenet121   on images; paper: rate .05, 50 epochs; working: rate .001, 10 epochs"
            yield "package.module:name     any other scikit-learn classifier or torch.nn.Module, or what makes one"
            yield "command   any training that a command does; params.command, params.suffix"
            yield "private-logistic, private-tree, private-mlp, private-cnn   differentially private; params.epsilon"
            assert len(NAMES) == 12
        case "procedures":
            yield "retrain   a new model on the records that remain; seed = fresh, same or coupled"
            yield "sisa      a model on each of many shards; the touched one is trained anew; shards, slices, aggregate"
        case "defenses":
            yield "none            posteriors as they are"
            yield "TopK(1)         the largest posteriors, the rest spread evenly"
            yield "LabelOnly       the predicted class"
            yield "Temperature(2)  flatter posteriors"
            yield "Rounding(2)     posteriors of so many decimals"
            yield "KeyedNoise(.5)  noise on the logits, the same for the same version and record"
        case "studies":
            from aftertrace.reproduction import STUDIES

            width = max(map(len, STUDIES))
            for name, study in STUDIES.items():
                yield f"{name:<{width}}  {study.title}"
        case "examples":
            from aftertrace.scenarios import examples

            width = max(map(len, examples()))
            for name, path in examples().items():
                yield f"{name:<{width}}  {_first_comment(path)}"


def data_lines() -> Iterator[str]:
    """A line per known data set."""
    from aftertrace.data import available

    for each in available():
        size = f"{each.rows} x {each.features}, {each.classes} classes"
        yield f"{each.name:<15}{size:<30}{each.summary}"
    yield f"{'csv':<15}{'':<30}any CSV file with a header: path and target"


def verify_lines(data_dir: Path | None) -> Iterator[str]:
    """A line per known file."""
    from aftertrace.data import verify

    found = verify(data_dir)
    width = max(len(each.file) for each in found)
    for each in found:
        yield f"{each.status:<12}  {each.data_set:<12}  {each.file:<{width}}  {each.detail}"


def fetched_lines(name: str, found: "Sequence[Fetched]") -> Iterator[str]:
    """A line per file of a data set that was to be fetched."""
    if not found:
        yield f"{name} is inside scikit-learn: there is nothing to fetch."
    for each in found:
        yield f"{'fetched' if each.is_new else 'there':<7}  {each.path}"


def _attacks() -> Iterator[str]:
    yield "Without shadow models (attacks.scores):"
    yield "  LogitDrop       loss of confidence in the true class; gives the verdict"
    yield "  EucDist         distance between the posteriors"
    yield "  LossRise, ConfidenceRatio   rise of the loss, and its ratio"
    yield "  Rank/LogitDrop, .../class, .../4 bins   rank of the logit drop among held-out unseen records"
    yield "  QuantileDrop    logit drop against what unseen records with such an answer lose"
    yield "  OriginalLogit   classical: confidence of the original model alone"
    yield "Learned from shadow models (attacks.learned):"
    yield "  Superset        boosting and logistic regression on label-aware features of both versions: the verdict"
    yield "From shadow models of the records themselves (attacks.per_record; scenario.adversary = per_record):"
    yield "  JointLikelihoodRatio, .../linear   both versions' logits, per record and role"
    yield "  LiRA, LiRA/offline, RMIA, RMIA/offline   classical; U-LiRA: on the unlearned model alone"
    yield "FEATURE/CLASSIFIER, trained on shadow models:"
    yield "  features      DirectConcat, SortedConcat, DirectDiff, SortedDiff, EucDist; Classical (original alone)"
    yield "  classifiers   tree, forest, logistic, mlp"


def _first_comment(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    assert tomllib.loads(text)
    first = text.splitlines()[0]
    return first.removeprefix("#").strip()
