"""Decision trees from files of others: whether they stay inside their own arrays."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError

Ints = NDArray[np.int64]


def check_trees(estimator: object, source: str) -> None:
    """Raises `InputError` where a tree of scikit-learn, anywhere in an estimator, points outside its arrays.

    scikit-learn follows the numbers of nodes and columns without a look (scikit-learn pull request 34558): a forged one
    reads foreign memory, or ends the process. Children must come after their parents, as every tree that was grown has
    them, so that no way through a tree is endless.
    """
    try:
        sound = all(_is_sound(each) for each in _held(estimator))
    except (AttributeError, KeyError, TypeError, ValueError):  # parts that are missing, or something else
        sound = False
    if not sound:
        raise InputError(
            f"{source}: holds a decision tree that points outside of itself: the file is damaged or forged. Save the "
            f"model again from where it was trained."
        )


def _held(root: object) -> Iterator[Any]:
    """An object and all that it holds."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        match each:
            case dict():
                waiting += each.values()
            case list() | tuple():
                waiting += each
            case np.ndarray():
                waiting += each.ravel().tolist() if each.dtype == object else []
            case _:
                waiting += getattr(each, "__dict__", {}).values()


def _is_sound(part: Any) -> bool:
    """Whether the trees that a fitted part holds itself are sound; of other parts nothing is asked."""
    from sklearn.ensemble import (
        BaggingClassifier,
        BaggingRegressor,
        BaseEnsemble,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )
    from sklearn.tree import BaseDecisionTree

    own = getattr(part, "__dict__", {})
    match part:
        case BaseDecisionTree() if "tree_" in own:
            return _is_sound_tree(part.tree_, part.n_features_in_)
        case BaggingClassifier() | BaggingRegressor():  # its trees see columns of their own, and look at them
            return True
        case BaseEnsemble() if "estimators_" in own:  # others hand records to their trees without a look
            return all(tree.n_features_in_ == part.n_features_in_ for tree in np.ravel(np.array(part.estimators_)))
        case HistGradientBoostingClassifier() | HistGradientBoostingRegressor() if "_predictors" in own:
            trees = [tree for stage in part._predictors for tree in stage]
            return all(_is_sound_predictor(tree, part.n_features_in_) for tree in trees)
    return True


def _is_sound_tree(tree: Any, width: int) -> bool:
    if not 0 < tree.node_count <= tree.capacity:
        return False
    inner = tree.children_left != -1
    return _leads_on(inner, tree.children_left, tree.children_right, tree.feature, width)


def _is_sound_predictor(tree: Any, width: int) -> bool:
    nodes = tree.nodes
    inner = nodes["is_leaf"] == 0
    sets = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    return (
        len(nodes) > 0
        and _leads_on(inner, nodes["left"], nodes["right"], nodes["feature_idx"], width)
        and bool((sets < len(tree.raw_left_cat_bitsets)).all())
    )


def _leads_on(inner: NDArray[np.bool_], left: Ints, right: Ints, feature: Ints, width: int) -> bool:
    """Whether inner nodes have children after themselves, within the array, and ask for one of `width` columns."""
    number = np.flatnonzero(inner)
    children = np.stack([left[inner], right[inner]]).astype(np.int64)
    column = feature[inner].astype(np.int64)
    return bool(((children > number) & (children < len(inner))).all() and ((column >= 0) & (column < width)).all())
