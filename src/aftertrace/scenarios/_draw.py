"""Who trains which model, who is deleted, what is queried: the records of every original and its versions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace._random import Stream, rng_for
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Role, Use
from aftertrace.scenarios._settings import Scenario, Side

Records = NDArray[np.int64]
SIDES = ("shadow", "target")
MEMBER_SHARE = 0.8  # fixed pools: the share of a side that trains (arXiv 2005.02205, released code)
NEGATIVE_SHARE = 0.85  # and of the others, the share that is queried as unseen; the rest replaces deleted records


@dataclass(frozen=True, eq=False)
class Queries:
    """What an original and its versions are asked: `record`, `pair`, a `Role` and a `Use`, each [Q], in order of roles.

    `pair` numbers the deletions of the unit.
    """

    record: Records
    pair: Records
    role: NDArray[np.int8]
    use: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.record)

    def select(self, rows: NDArray[np.bool_]) -> "Queries":
        """Those of a mask [Q]."""
        return Queries(self.record[rows], self.pair[rows], self.role[rows], self.use[rows])


@dataclass(frozen=True, eq=False)
class Unit:
    """One original with all its versions and queries: the unit of work, storage, resampling and joint training.

    Record numbers: `train` [n], ascending; `deleted` [P, S, G], which G records leave line p at each of S versions, and
    `added` [P, S, G or 0], which join; `test`: unseen records that measure accuracy. `versions`: those that are
    queried.
    """

    side: str
    index: int
    train: Records
    deleted: Records
    added: Records
    versions: tuple[int, int]
    queries: Queries
    test: Records

    @property
    def pairs(self) -> int:
        """Lines of versions, P."""
        return len(self.deleted)

    def of_persons(self, person: Records) -> "Unit":
        """All records of a unit that was drawn from persons in the place of records; `person` [N]: whose each is.

        A deletion of persons with fewer records than others names some of them again.
        """
        order = np.argsort(person, kind="stable")
        records = np.split(order, np.searchsorted(person[order], np.arange(1, int(person.max()) + 1)))
        own = self.queries
        size = np.array([len(records[each]) for each in own.record.tolist()])
        return replace(
            self,
            train=np.sort(_all_of(records, self.train)),
            deleted=_lines_of(records, self.deleted),
            added=_lines_of(records, self.added),
            queries=Queries(
                record=_all_of(records, own.record),
                pair=np.repeat(own.pair, size),
                role=np.repeat(own.role, size),
                use=np.repeat(own.use, size),
            ),
            test=np.sort(_all_of(records, self.test)),
        )

    def keep(self, version: int, n_records: int) -> NDArray[np.bool_]:
        """Which records train that version of each line; version 0 is the original's. -> [P, N]"""
        keep = np.zeros((self.pairs, n_records), dtype=bool)
        keep[:, self.train] = True
        line = np.arange(self.pairs)[:, None, None]
        keep[line, self.deleted[:, :version]] = False
        keep[line, self.added[:, :version]] = True
        return keep


def _all_of(records: Sequence[Records], persons: Records) -> Records:
    return np.concatenate([records[each] for each in persons.tolist()]) if persons.size else persons


def _lines_of(records: Sequence[Records], persons: Records) -> Records:
    """The records of persons [P, S, G], as many each as the largest deletion has: others repeat their first."""
    P, S, G = persons.shape
    if not G:
        return persons
    lines = [_all_of(records, each) for each in persons.reshape(P * S, G)]
    width = max(map(len, lines))
    padded = [np.concatenate([line, np.full(width - len(line), line[0])]) for line in lines]
    return np.stack(padded).reshape(P, S, width)


def draw_units(
    scenario: Scenario, *, n_records: int, seed: int, n_shadow: int | None = None, noun: str = "records"
) -> list[Unit]:
    """All units of both sides, shadow first. A unit depends on its side and index, not on how many there are.

    What is drawn is called `noun` in errors: where persons are drawn in the place of records, `Unit.of_persons` has
    theirs.

    `n_shadow`: the shadow side has so many records of its own, from other data, numbered from 0, and the target's all
    `n_records`; without it, half of them are the shadow side's, half the target's. "redrawn": each original draws its
    training records from all of its side, and its unseen ones from the rest, so that any record is a member of some
    originals and unseen by others. Unseen and held-out records of a pair differ; so do those of different pairs while
    there are enough.

    "fixed" (methods of the paper's released code): 80 % of a side can train, 17 % are queried as unseen, drawn
    for each pair with repetition over pairs, and 3 % replace deleted ones in online learning.

    Records that join a line are neither trained on before nor queried in it.

    With a per-record adversary both sides have the same candidate records, twice as many as `pairs`. Each original
    has each of them by a fair coin of its own, beside records drawn from all others; those that are in are deleted
    in turn; those that are not are queried at one pair each, held out by a further coin. Numbers of pairs and of
    training records therefore vary around those of the scenario.

    Raises `ExperimentError` with what would fit, for both sides together.
    """
    sides = {"shadow": scenario.shadow, "target": scenario.target}
    if scenario.adversary == "per_record":
        problems = list(_too_few(scenario, n_records, noun))
        if problems:
            raise ExperimentError(problems)
        candidates = rng_for(seed, Stream.CANDIDATES).choice(n_records, 2 * scenario.target.pairs, replace=False)
        return [
            _draw_around(scenario, side, name, index, np.sort(candidates), n_records, seed)
            for name, side in sides.items()
            for index in range(side.originals)
        ]
    if n_shadow is None:
        order = rng_for(seed, Stream.SIDES).permutation(n_records)
        halves = dict(zip(SIDES, np.split(order, [n_records // 2]), strict=True))
    else:
        halves = {"shadow": np.arange(n_shadow), "target": np.arange(n_records)}
    problems = [line for name in SIDES for line in _misfits(scenario, sides[name], name, len(halves[name]), noun)]
    if problems:
        raise ExperimentError(problems)
    return [
        unit
        for name in SIDES
        for unit in _draw_side(scenario, sides[name], name, np.sort(halves[name]).astype(np.int64), seed)
    ]


def _draw_side(scenario: Scenario, side: Side, name: str, records: Records, seed: int) -> Iterator[Unit]:
    members, others, joining = records, None, None
    if scenario.pools == "fixed":
        pool = rng_for(seed, Stream.POOLS, name).permutation(records)
        n_members, n_unseen = _pool_sizes(len(records))
        members, others, joining = map(np.sort, np.split(pool, [n_members, n_members + n_unseen]))
    for index in range(side.originals):
        rng = rng_for(seed, Stream.DRAW, name, index)
        train = np.sort(rng.choice(members, side.records, replace=False))
        rest = np.setdiff1d(records, train, assume_unique=True) if others is None else others
        yield _draw_unit(scenario, side, name, index, train, rest, joining, rng)


def _draw_unit(
    scenario: Scenario,
    side: Side,
    name: str,
    index: int,
    train: Records,
    rest: Records,
    joining: Records | None,
    rng: np.random.Generator,
) -> Unit:
    """`joining`: a pool of their own for records that join; without one they are drawn from `rest`."""
    pairs, width = side.pairs, scenario.unseen_per_pair + scenario.held_out_per_pair
    first, last = scenario.versions
    deleted = _lines(train, pairs, scenario.gone, rng).reshape(pairs, last, scenario.group)
    n_added = scenario.gone if scenario.replaced else 0
    if joining is None:
        outside, added = np.split(_lines(rest, pairs, width + n_added, rng), [width], axis=1)
    else:
        outside = np.stack([rng.choice(rest, width, replace=False) for _ in range(pairs)])
        added = _lines(joining, pairs, n_added, rng)
    between = deleted[:, first:].reshape(pairs, -1)
    n_deleted = scenario.deleted_queries
    asked = between if n_deleted == between.shape[1] else rng.permuted(between, axis=1)[:, :n_deleted]
    retained = [
        rng.choice(np.setdiff1d(train, line, assume_unique=True), scenario.retained_per_pair, replace=False)
        for line in deleted.reshape(pairs, -1)
    ]
    own = np.arange(pairs)
    unseen, held_out = np.split(outside, [scenario.unseen_per_pair], axis=1)
    return Unit(
        side=name,
        index=index,
        train=train,
        deleted=deleted,
        added=added.reshape(pairs, last, -1),
        versions=scenario.versions,
        queries=_queries(
            (asked.ravel(), np.repeat(own, n_deleted), Role.DELETED, Use.EVALUATE),
            (unseen.ravel(), np.repeat(own, unseen.shape[1]), Role.UNSEEN, Use.EVALUATE),
            (held_out.ravel(), np.repeat(own, held_out.shape[1]), Role.UNSEEN, Use.HELD_OUT),
            (np.concatenate(retained), np.repeat(own, scenario.retained_per_pair), Role.RETAINED, Use.EVALUATE),
        ),
        test=np.sort(rng.choice(rest, min(len(rest), side.records), replace=False)),
    )


def _lines(records: Records, pairs: int, each: int, rng: np.random.Generator) -> Records:
    """`each` different records for every line; those of different lines differ while there are enough. -> [P, each]"""
    if pairs * each <= len(records):
        return rng.choice(records, (pairs, each), replace=False)
    return np.stack([rng.choice(records, each, replace=False) for _ in range(pairs)])


def _draw_around(
    scenario: Scenario, side: Side, name: str, index: int, candidates: Records, n_records: int, seed: int
) -> Unit:
    """An original of a per-record adversary's scenario."""
    rng = rng_for(seed, Stream.DRAW, name, index)
    is_member = rng.random(len(candidates)) < 0.5
    while is_member.all() or not is_member.any():  # such an original could tell nothing
        is_member = rng.random(len(candidates)) < 0.5
    deleted, outside = rng.permutation(candidates[is_member]), rng.permutation(candidates[~is_member])
    elsewhere = np.setdiff1d(np.arange(n_records), candidates, assume_unique=True)
    background = rng.choice(elsewhere, side.records - side.pairs, replace=False)
    train = np.sort(np.concatenate([deleted, background]))
    rest = np.setdiff1d(elsewhere, background, assume_unique=True)
    pairs = len(deleted)
    pair = np.arange(len(outside)) % pairs
    width = scenario.unseen_per_pair + scenario.held_out_per_pair
    held_out = rng.random(len(outside)) < scenario.held_out_per_pair / width
    n_retained = min(scenario.retained_per_pair, pairs - 1)
    retained = [rng.choice(deleted[deleted != record], n_retained, replace=False) for record in deleted]
    return Unit(
        side=name,
        index=index,
        train=train,
        deleted=deleted[:, None, None],
        added=np.empty((pairs, 1, 0), dtype=np.int64),
        versions=scenario.versions,
        queries=_queries(
            (deleted, np.arange(pairs), Role.DELETED, Use.EVALUATE),
            (outside[~held_out], pair[~held_out], Role.UNSEEN, Use.EVALUATE),
            (outside[held_out], pair[held_out], Role.UNSEEN, Use.HELD_OUT),
            (np.concatenate(retained), np.repeat(np.arange(pairs), n_retained), Role.RETAINED, Use.EVALUATE),
        ),
        test=np.sort(rng.choice(rest, min(len(rest), side.records), replace=False)),
    )


def _queries(*parts: tuple[Records, Records, Role, Use]) -> Queries:
    """Of records and pairs by role and use."""
    return Queries(
        record=np.concatenate([record for record, *_ in parts]).astype(np.int64),
        pair=np.concatenate([pair for _, pair, *_ in parts]).astype(np.int64),
        role=np.concatenate([np.full(len(record), role, dtype=np.int8) for record, _, role, _ in parts]),
        use=np.concatenate([np.full(len(record), use, dtype=np.int8) for record, _, _, use in parts]),
    )


def _pool_sizes(n_records: int) -> tuple[int, int]:
    members = int(MEMBER_SHARE * n_records)
    return members, int(NEGATIVE_SHARE * (n_records - members))


def _too_few(scenario: Scenario, available: int, noun: str) -> Iterator[str]:
    """What does not fit a per-record adversary's scenario."""
    target, shadow = scenario.target, scenario.shadow
    needed = target.pairs + max(target.records, shadow.records) + 1
    if needed > available:
        yield (
            f"scenario.target.records: the data set has {available} {noun}, and {2 * target.pairs} candidates "
            f"(scenario.target.pairs, twice) leave room for at most {available - target.pairs - 1}, got "
            f"{max(target.records, shadow.records)}"
        )


def _misfits(scenario: Scenario, side: Side, name: str, available: int, noun: str) -> Iterator[str]:
    width = scenario.unseen_per_pair + scenario.held_out_per_pair
    joining = scenario.gone if scenario.replaced else 0
    where = f"scenario.{name}.records"
    if scenario.pools == "redrawn":
        most, outside = available - width - joining, available - side.records
        enough = side.records <= most
        reason = f"{width} further ones are queried as unseen in each pair" + (
            f" and {joining} join" if joining else ""
        )
    else:
        most, outside = _pool_sizes(available)
        left = available - most - outside
        enough = side.records <= most and width <= outside and joining <= left
        reason = f"the fixed pools hold {most} that can train, {outside} unseen ones for {width} a pair" + (
            f", and {left} of which {joining} join" if joining else ""
        )
    if not enough:
        fits = f"at most {most} would fit" if most >= 2 else "the data set is too small"
        yield f"{where}: the {name} side has {available} {noun} and {reason}; {fits}, got {side.records}"
    elif scenario.retained_per_pair > side.records - scenario.gone:
        yield (
            f"scenario.retained_per_pair: {side.records - scenario.gone} of {where} = {side.records} {noun} stay, so "
            f"it must be at most that, got {scenario.retained_per_pair}"
        )
