"""How large a reproduction is."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """`seeds` of every setting, and of those with fixed pools (`asked_seeds`, but for long ones); `originals` of each
    side and `pairs` of each original; sizes of `forests` and of networks on images (originals, pairs, records);
    `large`: whether settings run that take long, `huge`: those that take hours.
    """

    name: str
    seeds: tuple[int, ...]
    asked_seeds: tuple[int, ...]
    originals: int
    pairs: int
    forest: tuple[int, int]
    images: tuple[int, int, int]
    large: bool
    huge: bool


SCALES: Mapping[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale(
            name="quick",
            seeds=(0,),
            asked_seeds=(0,),
            originals=10,
            pairs=20,
            forest=(6, 6),
            images=(6, 4, 300),
            large=False,
            huge=False,
        ),
        Scale(
            name="default",
            seeds=(0,),
            asked_seeds=(0, 1, 2, 3, 4),
            originals=20,
            pairs=20,
            forest=(10, 20),
            images=(8, 5, 1000),
            large=True,
            huge=False,
        ),
        Scale(
            name="paper",
            seeds=(0, 1, 2, 3, 4),
            asked_seeds=(0, 1, 2, 3, 4),
            originals=10,
            pairs=20,
            forest=(10, 20),
            images=(10, 20, 2000),
            large=True,
            huge=True,
        ),
    )
}
"""By name: quick (minutes), default (within an hour), paper (the released code's sizes and five seeds; many hours)."""
