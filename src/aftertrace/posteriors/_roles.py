"""What happened to a record, in users' words and as membership."""

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aftertrace._spelling import nearest
from aftertrace.errors import PosteriorsError

Ints = NDArray[np.int64]


class Role(IntEnum):
    """What happened to a record between the first and the last version."""

    DELETED = 0  # in, then out
    UNSEEN = 1  # never in
    RETAINED = 2  # always in
    ADDED = 3  # out, then in
    MIXED = 4  # in and out again

    @property
    def word(self) -> str:
        """As users write it."""
        return self.name.lower()


ROLES = {role.word: role for role in (Role.DELETED, Role.UNSEEN, Role.RETAINED, Role.ADDED)}
"""The roles that users can give, by their words."""


def role_numbers(given: ArrayLike) -> NDArray[np.int8]:
    """The `Role` of each query [Q], given as words ("deleted", ...) or as values of `Role`.

    Raises `PosteriorsError` for anything else.
    """
    try:
        words = np.asarray(given)
    except ValueError as error:  # lists of different lengths
        raise PosteriorsError(f"Roles must be a word for each query [Q] ({error}).") from error
    if words.ndim != 1:
        raise PosteriorsError(f"Roles must be a word for each query [Q], got shape {list(words.shape)}.")
    if words.dtype == bool:  # True is 1, and nobody who writes it means that number
        raise PosteriorsError(
            f"A role must be a word, one of {', '.join(ROLES)}; got True and False, which do not say what they mean. "
            f"Write such as np.where(is_deleted, 'deleted', 'unseen')."
        )
    different, code = np.unique(words.astype(str) if words.dtype == object else words, return_inverse=True)
    return np.array([_role(word) for word in different.tolist()], dtype=np.int8)[code]


def _role(word: str | float) -> Role:
    role = ROLES.get(word) if isinstance(word, str) else next((each for each in ROLES.values() if each == word), None)
    if role is None:
        raise PosteriorsError(
            f"A role must be one of {', '.join(ROLES)}; got {str(word)!r}{nearest(str(word), ROLES)}."
        )
    return role


def membership(role: NDArray[np.int8], n_versions: int, left: Ints | None = None) -> NDArray[np.bool_]:
    """Which versions each record trained [Q, V], by its `Role`.

    `left` [Q]: the first version without a deleted record, 1 to V - 1; by default the last. Added records are in the
    last version only.
    """
    version = np.arange(n_versions)
    gone = np.full(len(role), n_versions - 1) if left is None else left
    until = np.select([role == Role.DELETED, role == Role.RETAINED], [gone, n_versions], 0)[:, None]
    return np.asarray((version < until) | ((role == Role.ADDED)[:, None] & (version == n_versions - 1)))
