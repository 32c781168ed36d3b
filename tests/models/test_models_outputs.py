import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from aftertrace.errors import InputError
from aftertrace.models import Outputs, log_values
from aftertrace.posteriors import Kind

RNG = np.random.default_rng(0)
LOGITS = [RNG.normal(0, 3, (5, 3)), RNG.normal(0, 3, (5, 3))]
PROBABILITIES = [softmax(values, axis=1) for values in LOGITS]


@pytest.mark.parametrize("outputs", [Outputs.AUTO, Outputs.PROBABILITIES])
def test_probabilities_keep_their_values(outputs):
    found = log_values(PROBABILITIES, outputs)
    assert found.kind is Kind.POSTERIOR
    assert found.note == ""
    np.testing.assert_array_equal(found.values, np.log(np.stack(PROBABILITIES, axis=1)))


def test_logits_are_told_and_said():
    found = log_values(LOGITS, Outputs.AUTO)
    np.testing.assert_allclose(np.exp(found.values), np.stack(PROBABILITIES, axis=1), rtol=1e-12)
    assert "taken for logits" in found.note
    assert log_values(LOGITS, Outputs.LOGITS).note == ""


def test_logits_are_exact_in_the_tails():
    found = log_values([np.array([[0.0, -2000.0]]), np.array([[800.0, 0.0]])], Outputs.LOGITS)
    np.testing.assert_array_equal(found.values[0], [[0, -2000], [0, -800]])


def test_log_probabilities_are_logits_of_themselves():
    logs = [np.log(values) for values in PROBABILITIES]
    np.testing.assert_allclose(log_values(logs, Outputs.AUTO).values, np.stack(logs, axis=1), atol=1e-12)


def test_a_class_that_is_ruled_out():
    found = log_values([np.array([[0.0, -np.inf]])] * 2, Outputs.LOGITS)
    np.testing.assert_array_equal(found.values[0, 0], [0, -np.inf])
    with pytest.raises(InputError, match="version 0 holds NaN or infinite ones in 1 of 1 rows"):
        log_values([np.array([[-np.inf, -np.inf]])] * 2, Outputs.LOGITS)


@pytest.mark.parametrize("outputs", list(Outputs))
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_nan_and_infinite_answers(outputs, wrong):
    second = PROBABILITIES[1].copy()
    second[[2, 4], 0] = wrong
    with pytest.raises(InputError, match="version 1 holds NaN or infinite ones in 2 of 5 rows, first in row 2"):
        log_values([PROBABILITIES[0], second], outputs)


def test_logits_stated_as_probabilities():
    with pytest.raises(InputError, match="These look like logits: say `outputs='logits'`"):
        log_values(LOGITS, Outputs.PROBABILITIES)


THIRDS = np.array([[33.3, 33.3, 33.3], [80.1, 15.0, 5.0]])  # percent as people round them


@pytest.mark.parametrize("outputs", [Outputs.AUTO, Outputs.PROBABILITIES])
@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (100 * PROBABILITIES[1], "rows sum to 100: are they percent. Divide by 100, or say"),
        (100 * PROBABILITIES[1][:1], "none of version 1 is below 0, .* percent"),
        (THIRDS, "percent"),
        (np.round(100 * PROBABILITIES[1].astype(np.float32)), "percent"),
        (
            np.array([[7, 3, 0], [0, 0, 10]]),
            "sum to 10: are they counts or shares. Divide each row by its sum, or",
        ),
    ],
)
def test_percent_and_counts_are_no_logits(answers, says, outputs):
    before = PROBABILITIES[0][: len(answers)]
    with pytest.raises(InputError, match=says):
        log_values([before, answers], outputs)
    assert np.isfinite(log_values([answers + 1e-9, answers], Outputs.LOGITS).values).all()


@pytest.mark.parametrize(
    "logits",
    [
        np.array([[2.0, 0.0]]),
        np.array([[0.0, 2.0], [3.0, 0.0]]),
        np.array([[-1.0, 101.0], [60.0, 40.0]]),
        np.array([[50.0, 50.0], [60.25, 45.5]]),
        np.array([[2.0, -2.0], [-3.0, 3.0]]),
    ],
)
def test_logits_that_look_a_little_like_shares(logits):
    assert "taken for logits" in log_values([logits, logits], Outputs.AUTO).note


def test_probabilities_stated_as_logits_are_taken_so_and_said():
    found = log_values(PROBABILITIES, Outputs.LOGITS)
    np.testing.assert_allclose(found.values[:, 0], log_softmax(PROBABILITIES[0], axis=1))
    assert "look like probabilities" in found.note


def test_one_version_of_logits_and_one_of_probabilities():
    with pytest.raises(InputError, match="version 0 probabilities, version 1 logits"):
        log_values([PROBABILITIES[0], LOGITS[1]], Outputs.AUTO)


def test_a_sigmoid_for_each_class_must_be_stated():
    sigmoids = 1 / (1 + np.exp(-LOGITS[0]))
    with pytest.raises(InputError, match="do not sum to 1"):
        log_values([sigmoids, sigmoids], Outputs.AUTO)
    with pytest.raises(InputError, match=r"must sum to 1 within 0\.001; row"):
        log_values([sigmoids, sigmoids], Outputs.PROBABILITIES)


def test_a_single_column_must_be_stated():
    with pytest.raises(InputError, match="a loss, a log-likelihood, or the probability or logit of the second class"):
        log_values([np.array([[0.3]])] * 2, Outputs.AUTO)


def test_one_column_of_the_second_class():
    probability = np.array([[0.25]])
    found = log_values([probability, probability], Outputs.PROBABILITIES)
    np.testing.assert_allclose(np.exp(found.values[0, 0]), [0.75, 0.25])
    logit = np.log(probability / (1 - probability))
    np.testing.assert_allclose(log_values([logit, logit], Outputs.LOGITS).values, found.values, rtol=1e-12)


def test_scores():
    loss = [np.array([[2.0], [0.5]]), np.array([[3.0], [0.5]])]
    found = log_values(loss, Outputs.LOSS)
    assert found.kind is Kind.SCORE
    np.testing.assert_array_equal(found.values[:, :, 0], [[-2, -3], [-0.5, -0.5]])
    np.testing.assert_array_equal(log_values(loss, Outputs.LOG_LIKELIHOOD).values, -found.values)
    with pytest.raises(InputError, match="A loss is one number for each record; the models answer 3 each"):
        log_values(LOGITS, Outputs.LOSS)
