from dataclasses import dataclass, replace

import numpy as np
import pytest

from aftertrace.errors import InputError, TrainingError
from aftertrace.models import Outputs, Records, Subjects, ask
from aftertrace.posteriors import Kind

N = 40
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2 * N, 3)), RNG.integers(0, 3, 2 * N)
NAMES = ("a", "b", "c")


def subjects(y=Y, names=NAMES, **changes):
    label = np.array(names)[y] if names else y
    made = Subjects.of(deleted=(X[:N], label[:N]), unseen=(X[N:], label[N:]))
    return replace(made, **changes)


@dataclass
class Fake:
    """Answers with a softmax of a row's numbers times `scale`, in the columns of `order`."""

    classes: tuple[str, ...] | None = NAMES
    scale: float = 1.0
    order: tuple[int, ...] = (0, 1, 2)
    notes: tuple[str, ...] = ()
    fingerprint: str = "fake"
    asked: int = 0

    def answer(self, records):
        self.asked += len(records)
        values = np.exp(records.as_array() * self.scale)
        return (values / values.sum(axis=1, keepdims=True))[:, self.order]


def test_answers_in_the_order_of_the_subjects_whatever_the_batch():
    whole = ask([Fake(), Fake(scale=2)], subjects(), batch=1000).posteriors
    parts = ask([Fake(), Fake(scale=2)], subjects(), batch=7).posteriors
    np.testing.assert_array_equal(parts.log_values, whole.log_values)
    np.testing.assert_allclose(whole.values[:, 1], Fake(scale=2).answer(Records(array=X)))
    assert whole.classes == NAMES
    np.testing.assert_array_equal(whole.label, Y)
    np.testing.assert_array_equal(whole.member, [[True, False]] * N + [[False, False]] * N)


def test_progress_reaches_the_end():
    seen = []
    ask([Fake(), Fake()], subjects(), batch=30, progress=lambda *step: seen.append(step))
    assert seen == [("answers", done, 4 * N) for done in (0, 30, 60, 80, 80, 110, 140, 160)]


def test_classes_are_compared_by_name():
    found = ask([Fake(), Fake(classes=("c", "a", "b"), order=(2, 0, 1))], subjects())
    np.testing.assert_array_equal(found.posteriors.log_values[:, 0], found.posteriors.log_values[:, 1])
    assert found.notes == (
        "The classes of version 1 stand in another order than those of version 0: they were compared by name.",
    )


def test_models_that_disagree_on_the_classes():
    with pytest.raises(InputError, match="only version 0 has 'c', only version 1 has 'd'"):
        ask([Fake(), Fake(classes=("a", "b", "d"))], subjects())
    with pytest.raises(InputError, match="as many columns; version 0 with 3, version 1 with 2"):
        ask([Fake(None), Fake(None, order=(0, 1))], subjects(names=None))
    with pytest.raises(InputError, match="3 different names of classes, one for each column; version 0 has 4"):
        ask([Fake(("a", "b", "c", "d")), Fake(("d", "b", "c", "a"))], subjects())


def test_models_that_do_not_say_their_classes():
    with pytest.raises(InputError, match="The names of the classes are not said by version 0, and the labels are 'a'"):
        ask([Fake(None), Fake(None)], subjects())
    with pytest.raises(
        InputError, match="of the 2 classes are not said by version 0, and the labels are '0', '1', '2'"
    ):
        ask([Fake(None, order=(0, 1)), Fake(None, order=(0, 1))], subjects(names=None), outputs=Outputs.LOGITS)
    with pytest.raises(InputError, match="not said by version 1"):
        ask([Fake(), Fake(None)], subjects(names=None))
    stated = ask([Fake(None), Fake(None)], subjects(), classes=NAMES)
    assert (stated.posteriors.classes, stated.notes) == (NAMES, ())
    mixed = ask([Fake(), Fake(None)], subjects(), classes=NAMES).posteriors
    np.testing.assert_array_equal(mixed.log_values, stated.posteriors.log_values)
    numbered = ask([Fake(None), Fake(None)], subjects(names=None))
    assert numbered.posteriors.classes == ("0", "1", "2")
    assert numbered.notes == ("The models do not name their classes: columns were taken for classes 0 to 2.",)


@pytest.mark.parametrize("names", [("m", "m"), ("m",), ("a", "b", "c")])
def test_names_of_versions_that_do_not_fit(names):
    models = [Fake(), Fake()]
    with pytest.raises(
        InputError, match=f"`names` must call each of the 2 versions.*got {', '.join(map(repr, names))}"
    ):
        ask(models, subjects(), names=names)
    assert not sum(model.asked for model in models)


def test_labels_that_are_no_classes():
    with pytest.raises(InputError, match=r"Labels must be among the model's classes \('a', 'b', 'c'\); got 'B'"):
        ask([Fake(), Fake()], subjects(names=("a", "B", "c")))


@pytest.mark.parametrize(
    ("classes", "names", "stated", "message"),
    [
        ((NAMES, ("a", "b", "d")), NAMES, None, "only version 0 has 'c', only version 1 has 'd'"),
        ((NAMES, NAMES), ("a", "B", "c"), None, "Labels must be among .* got 'B'"),
        ((NAMES, NAMES), NAMES, ("a", "b", "d"), "name their classes themselves, 'a', 'b', 'c'; leave out 'a'"),
        ((None, NAMES), NAMES, None, "names of the classes are not said by version 0"),
        ((None, None), NAMES, None, "names of the classes are not said by version 0"),
        ((None, None), NAMES, ("a", "b", "d"), "Labels must be among .* got 'c'"),
    ],
)
def test_no_model_is_asked_where_names_of_classes_tell_that_it_is_in_vain(classes, names, stated, message):
    """Questions may cost money."""
    models = [Fake(each) for each in classes]
    with pytest.raises(InputError, match=message):
        ask(models, subjects(names=names), classes=stated)
    assert [model.asked for model in models] == [0, 0]


def test_scores_need_no_classes_whatever_the_labels():
    loss = [Fake(None, order=(0,)), Fake(None, scale=2, order=(0,))]
    assert ask(loss, subjects(), outputs=Outputs.LOSS).posteriors.kind is Kind.SCORE


def test_whole_numbers_with_decimals_name_the_same_class():
    texts = subjects(label=np.array([f"{y}.0" for y in Y], dtype=object))
    numbers = ("0", "1", "2")
    np.testing.assert_array_equal(ask([Fake(numbers), Fake(numbers)], texts).posteriors.label, Y)
    both = ("1", "1.0", "0")
    with pytest.raises(InputError, match=r"got '2\.0'"):
        ask([Fake(both), Fake(both)], texts)
    exact = subjects(label=np.array(["1.0", "1"] * N, dtype=object))
    np.testing.assert_array_equal(ask([Fake(both), Fake(both)], exact).posteriors.label, [1, 0] * N)


def test_answers_of_another_shape():
    class Short(Fake):
        def answer(self, records):
            return super().answer(records)[1:]

    class Flat(Fake):
        def answer(self, records):
            return super().answer(records)[:, 0]

    class Wild(Fake):
        def answer(self, records):
            return super().answer(records)[:, : 2 if self.asked > 50 else 3]

    with pytest.raises(TrainingError, match=r"must answer 80 records with \[80, K\].*; version 1 did with \[79, 3\]"):
        ask([Fake(), Short()], subjects())
    with pytest.raises(TrainingError, match=r"version 0 did with \[80\]"):
        ask([Flat(), Fake()], subjects())
    with pytest.raises(TrainingError, match="version 0 did with 3 and with 2"):
        ask([Wild(), Fake()], subjects(), batch=40)


def test_random_answers_are_named():
    class Random(Fake):
        def answer(self, records):
            return super().answer(records)[:, ::-1] if self.asked else super().answer(records)

    (note,) = ask([Fake(), Random()], subjects()).notes
    assert note.startswith("Asked again about the same record, version 1 answers differently (by up to 0.")
    assert ask([Fake(), Fake()], subjects()).notes == ()


def test_what_models_say_of_themselves():
    found = ask([Fake(notes=("it is old.", "it is slow.")), Fake(notes=("it is old.",))], subjects())
    assert found.notes == ("Of version 0 and version 1: it is old.", "Of version 0: it is slow.")


def test_more_than_two_versions():
    left = np.array([1] * 10 + [2] * 10 + [-1] * (2 * N - 20))
    models = [Fake(scale=scale) for scale in (1, 2, 3, 4)]
    table = ask(models, subjects(left=left)).posteriors
    assert table.log_values.shape == (2 * N, 4, 3)
    np.testing.assert_array_equal(table.member[[0, 10, 20, N]].sum(axis=1), [1, 2, 3, 0])
    with pytest.raises(InputError, match="one of the versions 1 to 1; 'left' says 2 for 10"):
        ask(models[:2], subjects(left=left))
    with pytest.raises(InputError, match="at least two versions of the model, before and after; got 1"):
        ask(models[:1], subjects())


def test_scores():
    class Loss(Fake):
        def answer(self, records):
            return records.as_array()[:, :1] ** 2

    with pytest.raises(InputError, match="are not said by .* If it answers with one number for each record, say which"):
        ask([Loss(None), Loss(None)], subjects())
    table = ask([Loss(None), Loss(None)], subjects(), outputs=Outputs.LOSS).posteriors
    assert (table.kind, table.classes) == (Kind.SCORE, ("score",))
    np.testing.assert_array_equal(table.log_values[:, 0, 0], -(X[:, 0] ** 2))


def test_a_single_sigmoid():
    class Sigmoid(Fake):
        def answer(self, records):
            return 1 / (1 + np.exp(-records.as_array()[:, :1]))

    models, binary = [Sigmoid(("no", "yes")), Sigmoid(("no", "yes"))], subjects(Y % 2, names=("no", "yes"))
    table = ask(models, binary, outputs=Outputs.PROBABILITIES).posteriors
    np.testing.assert_allclose(table.values[:, 0, 1], 1 / (1 + np.exp(-X[:, 0])))
