"""Canaries: records that a coin puts into training and that are deleted later, where nothing can be trained again."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._spelling import nearest
from aftertrace.data import SPECIFICATIONS, Csv, Dataset, load, read_table
from aftertrace.errors import InputError, PosteriorsError, StoreError
from aftertrace.posteriors import phi, read_answers
from aftertrace.results import (
    Canaries,
    CanaryGuesses,
    CanaryKind,
    CanaryResult,
    CanaryScore,
    CanaryScoreResult,
    GuessRule,
    Remainder,
)
from aftertrace.statistics import auc, epsilon_one_run, mann_whitney, one_run_p_value
from aftertrace.store import make_folder, write_atomically

CANARY = "canary"
"""The column of `query.csv` with each canary's number."""
CLASS = "class"
"""The target column of a data set that is known by name."""
LEAST_TOP = 12
"""Guesses of the smallest rule: fewer show too little, even if all are right."""
LEAST_BOUND = 1.0
"""Of the largest possible bound; fewer canaries than it takes are refused."""
_FILES = ("canaries.json", "insert.csv", "query.csv")


def make_canaries(
    data: str | Path,
    *,
    out: Path | str,
    rng: np.random.Generator,
    target: str | None = None,
    count: int = 1000,
    kind: str = "mislabelled",
    data_dir: Path | None = None,
) -> Canaries:
    """Draw `count` canaries, toss their coins, and write what to insert, what to query and what to keep private.

    `data`: a CSV file whose column `target` holds the classes, or a data set by name; none of its records may be in
    the training set. `kind`: "mislabelled" (each gets another class at random), "as-is". `rng` must be one that
    nobody can guess. Written into the new folder `out`:

    - `insert.csv`: the canaries whose coin says in, with the columns of `data`, to be appended to the training set;
    - `query.csv`: all of them, with their number in a first column `canary`, to be queried on both versions;
    - `canaries.json`: `Canaries`, readable by its owner only.

    A canary's number, class and place tell nothing of its coin. Raises `InputError` for a mistake, and where
    even right guesses alone could not show an epsilon of 1; `StoreError` if `out` holds canaries already, since
    coins that were overwritten make a training worthless.
    """
    folder = Path(out)
    for name in _FILES:
        if (folder / name).exists():
            raise StoreError(
                f"{folder / name}: there are canaries here already, and a training may rest on their coins; "
                f"choose another folder with `out`."
            )
    try:
        chosen = CanaryKind(kind)
    except ValueError:
        raise InputError(f"`kind` must be {' or '.join(CanaryKind)}, got {kind!r}.") from None
    source = _source(data, target, data_dir)
    made, rows = _draw(source, count, chosen, rng)
    make_folder(folder)
    inserted = [row for row, is_in in zip(rows, made.coin, strict=True) if is_in]
    write_atomically(folder / "insert.csv", _csv(source.columns, inserted))
    numbered = [[str(number), *row] for number, row in enumerate(rows)]
    write_atomically(folder / "query.csv", _csv([CANARY, *source.columns], numbered))
    write_atomically(folder / "canaries.json", made.to_json().encode(), private=True)
    return made


def check_canaries(
    folder: Path | str, *, before: Path | str, after: Path | str, delta: float = 0.0, confidence: float = 0.95
) -> CanaryResult:
    """The bound on epsilon that two versions' posteriors at the canaries give.

    `folder`: as `make_canaries` wrote it. `before`, `after`: files of posteriors as `read_pair` takes them, without
    roles; `record` is the canary's number. Deterministic. Raises `PosteriorsError` unless each file has every canary
    once, with its class.
    """
    path = Path(folder) / "canaries.json"
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file; give the folder that `aftertrace canaries make` wrote.")
    try:
        canaries = Canaries.from_json(path.read_bytes())
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from error
    first, last = (_logits(Path(version), canaries) for version in (before, after))
    return judge_canaries(canaries, first, last, delta=delta, confidence=confidence)


def judge_canaries(
    canaries: Canaries,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    *,
    delta: float = 0.0,
    confidence: float = 0.95,
) -> CanaryResult:
    """The bound on epsilon from `before` and `after` [C]: phi of every canary's class, by both versions.

    Each of the declared scores is cut by each of the declared rules; every bound is that of one run with many canaries
    (`epsilon_one_run`), at a confidence that makes all of them hold together (Bonferroni). So the largest of all and
    the largest of each score hold at once. Ties keep the order of the canaries, which is random. Raises
    `InputError` for `delta` outside [0, 1) or `confidence` outside [.5, 1).
    """
    if not 0 <= delta < 1:
        raise InputError(f"`delta` must lie in [0, 1), such as 1e-5, got {delta:g}.")
    if not 0.5 <= confidence < 1:
        raise InputError(f"`confidence` must lie in [0.5, 1), such as 0.95, got {confidence:g}.")
    coin = np.array(canaries.coin)
    value = {CanaryScore.LOGIT_DROP: before - after, CanaryScore.ORIGINAL_LOGIT: before}
    scores = [_score_result(canaries, each, value[each], coin, delta, confidence) for each in canaries.scores]
    return CanaryResult.of(
        canaries,
        scores,
        _remainder(after, coin),
        delta=delta,
        confidence=confidence,
        notes=[note for each in scores if (note := _reversed(each, len(canaries), confidence))],
        fingerprint=digest([before, after]),
    )


def guess_rules(count: int) -> tuple[GuessRule, ...]:
    """What is guessed about `count` canaries, fixed before any score is seen.

    First, half of them: the top quarter by score in, the bottom quarter out. That is the best or nearly so where the
    scores of all canaries are shifted alike. Then the top quarter alone, and each time a quarter of that, as long as
    12 remain: these find a leak of the few canaries that are remembered, where canaries that were left out look like
    most that were in. (Simulated with 1 000 canaries, shifts of .25 to 4, 2 to 95 % of canaries remembered, heavy tails
    and randomised response: the mean bound is on average 91 % of that by the best of the rules tried for each case,
    and 62 % in the worst; by the first rule alone 63 %, and 1 % in the worst.)

    >>> [(rule.n_in, rule.n_out) for rule in guess_rules(1000)]
    [(250, 250), (250, 0), (62, 0), (15, 0)]
    """
    rules, top = [GuessRule(n_in=count // 4, n_out=count // 4)], count // 4
    while top >= LEAST_TOP:
        rules.append(GuessRule(n_in=top, n_out=0))
        top //= 4
    return tuple(rules)


@dataclass(frozen=True)
class _Source:
    name: str
    fingerprint: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]  # [N], as text, the target among them
    target: str
    label: NDArray[np.int64]  # [N]
    classes: tuple[str, ...]


def _source(data: str | Path, target: str | None, data_dir: Path | None) -> _Source:
    """Records as text: of a CSV file as they stand there, of a known data set with the target last."""
    if Path(data).suffix in (".csv", ".gz") or target is not None:
        if target is None:
            raise InputError(f"`target` must name the column of {data} that holds the classes.")
        known = load(Csv(path=str(data), target=target))
        columns: Mapping[str, Sequence[str]] = read_table(Path(data)).columns
    else:
        kinds = {kind.name: kind for kind in SPECIFICATIONS if not issubclass(kind, Csv)}
        if str(data) not in kinds:
            raise InputError(
                f"DATA must be a CSV file (.csv, .csv.gz) or one of {', '.join(kinds)}, got "
                f"{str(data)!r}{nearest(str(data), kinds)}."
            )
        known, target = load(kinds[str(data)](), data_dir=data_dir), CLASS
        columns = _as_text(known)
    if CANARY in columns:
        raise InputError(f"{data}: no column may be called {CANARY!r}, as query.csv has one of its own; rename it.")
    rows = list(zip(*columns.values(), strict=True))
    return _Source(known.name, known.fingerprint, list(columns), rows, target, known.label, known.classes)


def _as_text(data: Dataset) -> dict[str, Sequence[str]]:
    """The columns of a known data set: categories and classes by name, numbers so that they are read back exactly."""
    columns: dict[str, Sequence[str]] = {}
    for name, values in zip(data.columns, data.x.T, strict=True):
        names = data.categories.get(name)
        columns[name] = [repr(value) if names is None else names[int(value)] for value in values.tolist()]
    columns[CLASS] = [data.classes[label] for label in data.label]
    return columns


def _draw(source: _Source, count: int, kind: CanaryKind, rng: np.random.Generator) -> tuple[Canaries, list[list[str]]]:
    """The canaries, and their rows of the source with the class that each was given."""
    if count > len(source.label):
        raise InputError(
            f"`count` must be at most the {len(source.label)} records of {source.name}, as none is drawn twice, "
            f"got {count}."
        )
    # Streams of their own: whoever recognises the drawn records learns nothing of the coins.
    drawing, tossing = rng.spawn(2)
    drawn = drawing.permutation(len(source.label))[:count]
    label = source.label[drawn]
    if kind is CanaryKind.MISLABELLED:
        K = len(source.classes)
        label = (label + drawing.integers(1, K, size=len(drawn))) % K
    made = Canaries(
        kind=kind,
        target=source.target,
        label=tuple(source.classes[each] for each in label),
        coin=tuple((tossing.integers(0, 2, size=len(drawn)) == 1).tolist()),
        rules=guess_rules(count),
        source=source.name,
        fingerprint=source.fingerprint,
    )
    largest = made.bound_if(1.0) if count >= 4 else 0.0
    if largest < LEAST_BOUND:
        raise InputError(
            f"`count` must be larger: {count} canaries can show an epsilon of at most {largest:.2g}, even if every "
            f"guess is right, and it should be at least {LEAST_BOUND:g}; 100 are few, 1000 are good."
        )
    place = list(source.columns).index(source.target)
    rows = [
        [*source.rows[row][:place], name, *source.rows[row][place + 1 :]]
        for row, name in zip(drawn, made.label, strict=True)
    ]
    return made, rows


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue().encode()


def _logits(path: Path, canaries: Canaries) -> NDArray[np.float64]:
    """The logit of each canary's class by the version in a file, in the order of the canaries. [C]"""
    version = read_answers(path)
    names = version.record.words[version.record.code].tolist()
    numbers = [str(number) for number in range(len(canaries))]
    twice = [name for name, times in Counter(names).items() if times > 1]
    missing, extra = sorted(set(numbers) - set(names), key=int), sorted(set(names) - set(numbers))
    for what, which in (("missing", missing), ("twice or more", twice), ("no canary", extra)):
        if which:
            raise PosteriorsError(
                f"{path}: column 'record' must hold every number of the column {CANARY!r} of query.csv once, 0 to "
                f"{len(canaries) - 1}; {what}: {len(which)} ({', '.join(map(repr, which[:3]))}"
                f"{', ...' if len(which) > 3 else ''})."
            )
    place = {name: row for row, name in enumerate(names)}
    order = np.array([place[number] for number in numbers])
    for number, (given, found) in enumerate(
        zip(canaries.label, version.label.words[version.label.code[order]].tolist(), strict=True)
    ):
        if given != found:
            raise PosteriorsError(
                f"{path}: the label of canary {number} must be {given!r}, its {canaries.target!r} in query.csv, "
                f"got {found!r}; ask for the canaries as query.csv has them."
            )
    column = {name: k for k, name in enumerate(version.classes)}
    with np.errstate(divide="ignore"):
        return phi(np.log(version.values[order]), np.array([column[name] for name in canaries.label]))


def _score_result(
    canaries: Canaries,
    score: CanaryScore,
    value: NDArray[np.float64],
    coin: NDArray[np.bool_],
    delta: float,
    confidence: float,
) -> CanaryScoreResult:
    C, level = len(canaries), canaries.level(confidence)
    guesses, p_values = [], []
    for rule in canaries.rules:
        right = n_right(value, coin, rule)
        epsilon = epsilon_one_run(right, rule.n, C, delta=delta, confidence=level).low
        guesses.append(CanaryGuesses(n_in=rule.n_in, n_out=rule.n_out, n_correct=right, epsilon=epsilon))
        p_values.append(one_run_p_value(right, rule.n, C, epsilon=0.0))
    return CanaryScoreResult(
        score=score,
        epsilon=max(each.epsilon for each in guesses),
        p_value=min(1.0, min(p_values) * len(canaries.scores) * len(canaries.rules)),
        guesses=tuple(guesses),
    )


def n_right(value: NDArray[np.float64], coin: NDArray[np.bool_], rule: GuessRule) -> int:
    """How many guesses of the rule are right. `value`, `coin` [C]; of equal values the later canary is larger."""
    ascending = coin[np.argsort(value, kind="stable")]
    return int(ascending[len(coin) - rule.n_in :].sum()) + int((~ascending[: rule.n_out]).sum())


def _reversed(found: CanaryScoreResult, count: int, confidence: float) -> str:
    """A note where guesses from both ends are wrong more often than chance allows."""
    both = found.guesses[0]
    n = both.n_in + both.n_out
    p_value = 2 * one_run_p_value(n - both.n_correct, n, count, epsilon=0.0)
    if p_value > 1 - confidence:
        return ""
    return (
        f"By the {found.score}, guesses are wrong more often than by chance ({both.words}): canaries move against the "
        f"declared direction. That gives them away too, and the bound does not count it."
    )


def _remainder(after: NDArray[np.float64], coin: NDArray[np.bool_]) -> Remainder:
    p_value = mann_whitney(after[coin], after[~coin]) if 0 < coin.sum() < len(coin) else None
    return Remainder(auc=None if p_value is None else auc(after[coin], after[~coin]), p_value=p_value)
