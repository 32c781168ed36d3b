"""The arguments of `audit`: what each must be, and which go together; nothing is opened here."""

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aftertrace._spelling import nearest, some
from aftertrace.attacks import Adversary, Attack, check_needs
from aftertrace.errors import InputError
from aftertrace.models import SCORES, Outputs
from aftertrace.models._imports import is_reference
from aftertrace.posteriors import Kind, Posteriors
from aftertrace.posteriors._columns import LABEL, PERSON
from aftertrace.posteriors._readable import TABLES, check_no_spreadsheet, is_folder
from aftertrace.results import Claim
from aftertrace.scenarios import Experiment
from aftertrace.scenarios._settings import NAMED_ATTACKS


class Form(StrEnum):
    """What the versions are."""

    MODELS = "models"
    FILES = "files of posteriors"
    ARRAYS = "arrays"
    TABLES = "tables"
    FOLDERS = "target folders"

    @classmethod
    def of(cls, reference: Any) -> "Form":
        """Of one version."""
        if isinstance(reference, list | tuple) or hasattr(
            reference, "__array__"
        ):  # tensors and data frames have it too
            return cls.ARRAYS
        if isinstance(reference, Posteriors):
            return cls.TABLES
        if isinstance(reference, Path | str):
            path = Path(reference)
            if path.name.endswith(TABLES):
                return cls.FILES
            if is_folder(path) and any((path / name).is_file() for name in ("target.yaml", "target.json")):
                return cls.FOLDERS
        return cls.MODELS


_RECORDS = {"deleted", "unseen", "retained", "records"}
_COLUMNS = {"label_column", "person_column"}
_TAKES: Mapping[Form, set[str]] = {
    Form.MODELS: {*_RECORDS, *_COLUMNS, "person", "classes", "outputs", "features"},
    Form.FILES: {*_COLUMNS, "role", "classes", "outputs", "features"},
    Form.ARRAYS: {"label", "role", "person", "classes", "outputs", "features"},
    Form.TABLES: {"person", "features"},
    Form.FOLDERS: {"features"},
}
"""The arguments that go with each; leave to open pickles goes with all."""
_BRINGS = {
    Form.MODELS: "models are asked about records, which have their classes with them: give `deleted` and `unseen` ones",
    Form.FILES: (
        "files of posteriors hold what was answered at which records: say the role of each in a column 'role', or in "
        "a file of record and role (`role`); labels and persons are columns too"
    ),
    Form.ARRAYS: "arrays of posteriors come with `label` and `role` [Q], and perhaps `person` [Q]",
    Form.TABLES: "a table of posteriors has its own labels, roles and classes",
    Form.FOLDERS: "target folders bring their own labels, roles and classes, and know no persons",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Versions:
    """The arguments of `audit` that say what is to be judged, under its names; `references` in the versions' order.

    Raises `InputError` for arguments that do not go together: none is dropped silently.
    """

    references: tuple[Any, ...]
    deleted: Any = None
    unseen: Any = None
    retained: Any = None
    records: Path | str | None = None
    label: ArrayLike | None = None
    role: Path | str | Sequence[str] | None = None
    person: Any = None
    classes: tuple[str, ...] | None = None
    outputs: Outputs = Outputs.AUTO
    trust_pickle: bool = False
    features: Path | str | ArrayLike | None = None
    label_column: str = LABEL
    person_column: str = PERSON

    def __post_init__(self) -> None:
        for reference in self.references:
            is_elsewhere = isinstance(reference, str) and ("://" in reference or is_reference(reference))
            if isinstance(reference, Path | str) and not is_elsewhere:
                check_no_spreadsheet(Path(reference))
        forms = {Form.of(reference) for reference in self.references}
        if len(forms) > 1:
            raise InputError(
                f"All versions must be of one kind: models, files of posteriors or arrays; got "
                f"{' and '.join(sorted(forms))}."
            )
        if (len(self.references) == 1) is not (self.form is Form.TABLES):
            raise InputError(
                f"There must be at least two versions, before and after, or one table of posteriors that holds them; "
                f"got {len(self.references)} {self.form}."
            )
        for name in self._given() - {"references", "trust_pickle"} - _TAKES[self.form]:
            takers = [form for form, names in _TAKES.items() if name in names]
            raise InputError(f"`{name}` is for {', '.join(takers)}; {_BRINGS[self.form]}.")

    @property
    def form(self) -> Form:
        """What all versions are."""
        return Form.of(self.references[0])

    @property
    def expected(self) -> Posteriors:
        """What will be judged, as far as it is known: the table that was brought, or one like it without queries."""
        if self.form is Form.TABLES:
            return self.references[0]
        is_score, none = self.outputs in SCORES, np.zeros(0, dtype=np.int64)
        size = (0, len(self.references), 1 if is_score else 2)
        return Posteriors(
            log_values=np.zeros(size),
            member=np.zeros(size[:2], dtype=bool),
            label=none,
            classes=("score",) if is_score else ("0", "1"),
            record=none,
            pair=none,
            original=none,
            use=none.astype(np.int8),
            kind=Kind.SCORE if is_score else Kind.POSTERIOR,
        )

    def _given(self) -> set[str]:
        """The arguments that are not what they are where nothing is said."""
        values = {each.name: (getattr(self, each.name), each.default) for each in fields(self)}
        return {name for name, (value, default) in values.items() if not _is_same(value, default)}


def _is_same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, str) and value == default)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least


def _are_names(value: Any) -> bool:
    if value is None or isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        return value is None
    return len({str(each) for each in value}) == len(value) >= 2


_MUST: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "between": (lambda value: isinstance(value, list | tuple), "a list of the versions between, in their order"),
    "classes": (_are_names, "a list of two or more different names"),
    "trust_pickle": (lambda value: isinstance(value, bool), "True or False"),
    "claim": (lambda value: value is None or isinstance(value, Claim), "a `Claim`, such as Claim(epsilon=1)"),
    "shadow": (
        lambda value: value is None or isinstance(value, Experiment | str | PathLike),
        "an experiment file, or an `Experiment`",
    ),
    "match": (lambda value: isinstance(value, bool), "True or False"),
    "what_if": (lambda value: isinstance(value, bool), "True or False"),
    "out": (lambda value: value is None or isinstance(value, str | PathLike), "a folder"),
    "memory": (lambda value: value is None or _is_whole(value, 2**20), "a number of bytes, at least 2 ** 20 (1 MiB)"),
    "data_dir": (lambda value: value is None or isinstance(value, str | PathLike), "a folder"),
}


def check_arguments(**arguments: Any) -> None:
    """Raises `InputError` for an argument of `audit` that is not what its name asks for."""
    for name, value in arguments.items():
        fits, must = _MUST[name]
        if not fits(value):
            raise InputError(f"`{name}` must be {must}; got {value!r}.")


def outputs_of(word: str) -> Outputs:
    """What answers are. Raises `InputError`."""
    known = [each.value for each in Outputs]
    if word not in known:
        raise InputError(f"`outputs` must be one of {', '.join(known)}, got {word!r}.")
    return Outputs(word)


def attacks_of(given: Sequence[Attack | str], expected: Posteriors, *, has_shadow: bool) -> tuple[Attack, ...]:
    """Attacks, some of which may be given by name (`aftertrace list attacks`).

    Raises `InputError` for what is none, and `UnsupportedError` for one that needs more than `Versions.expected`.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"`attacks` must be a list of attacks or of their names; got {given!r}.")
    attacks = tuple(map(_attack, given))
    for attack in attacks:
        check_needs(attack, expected, adversary=Adversary.POPULATION if has_shadow else Adversary.NONE)
    return attacks


def _attack(given: Attack | str) -> Attack:
    if isinstance(given, str):
        if given not in NAMED_ATTACKS:
            raise InputError(
                f"An attack must be one of {some(list(NAMED_ATTACKS), len(NAMED_ATTACKS))}, or an attack itself; got "
                f"{given!r}{nearest(given, NAMED_ATTACKS)}."
            )
        return NAMED_ATTACKS[given]
    if isinstance(given, type) or not all(hasattr(given, name) for name in ("name", "needs", "fit")):
        raise InputError(f"An attack must have a name, `needs` and `fit`, or be called by its name; got {given!r}.")
    return given
