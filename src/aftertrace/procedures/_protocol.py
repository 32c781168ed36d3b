"""How a deployer learns and forgets."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from aftertrace.trainers import Models, Seeding, TrainingData


class State(Protocol):
    """What a deployer keeps after learning or forgetting: the models, and whatever forgetting needs later."""

    @property
    def models(self) -> Models: ...


class Procedure(Protocol):
    """Learning and forgetting. A specification, like a trainer.

    Guarantees, checked by `aftertrace.procedures.conformance`: the state passed in is unchanged; each row
    depends on its own base, row of `keep` and stream only; the same streams give the same answers; forgetting
    nothing is possible; states chain, `forget(forget(state))`.
    """

    @property
    def seeding(self) -> Seeding:
        """Whether a later version draws from a stream of its own or from the original's."""
        ...

    def learn(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
    ) -> State:
        """Originals: one model per row of `keep` [B, N]."""
        ...

    def forget(
        self,
        state: State,
        data: TrainingData,
        base: NDArray[np.int64],
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
    ) -> State:
        """Next versions: row m updates model `base[m]` of `state` to the records `keep[m]` [M, N].

        Records may leave and, where the procedure supports it, join; `UnsupportedError` otherwise.
        """
        ...


@runtime_checkable
class Memoryless(Protocol):
    """A procedure to which it is all one, in distribution, whether records leave at once or one version after another:
    versions that nobody sees need not be trained.
    """

    @property
    def memoryless(self) -> bool:
        """True."""
        ...
