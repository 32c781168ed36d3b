"""Growing classification trees on many nearly equal sets of records, compiled.

A tree is grown once on the union of all rows. Each row is the union without a few records: its tree is the union's
but for the nodes that those records passed through. There the split is found again from the node's table (class
weights by value, kept), less the records that are gone. Where it divides the rest as before, the walk goes on
below; where not, the subtree is grown anew from the row's own records. With whole-number weights all sums are exact,
so that the result is the tree that growing it alone gives, to the last bit.

Splits: Gini impurity, thresholds midway between neighbouring values, as in Breiman et al., Classification and
Regression Trees (1984). Bags: Breiman, Random Forests (2001).
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]

compiled = njit(cache=True, error_model="numpy")

_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)  # its products with powers of two have different leading six bits
_BIT = np.empty(64, dtype=np.int64)  # the power, by those bits
_BIT[[(0x03F79D71B4CB0A89 << power) % 2**64 >> 58 for power in range(64)]] = np.arange(64)
_NEW, _LEAF = -2, -1  # in `Nodes.feature`: no split was looked for yet, and there is none


class Records(NamedTuple):
    """The union's U records. Values of feature f are coded by rank: `value[first[f] + code[f, i]]`."""

    code: NDArray[np.int32]  # [F, U]
    first: Index  # [F + 1]
    value: Array
    label: Index  # [U]
    n_classes: int


class Rule(NamedTuple):
    """When to stop. `max_leaves` 0: no limit, and nodes are split depth first instead of best first."""

    max_features: int
    min_leaf: int
    min_split: int
    max_depth: int
    max_leaves: int


NODE = np.dtype(
    [
        ("key", np.uint64),  # all randomness of a node comes from its key, which comes from its place in the tree
        ("start", np.int64),  # it holds `samples[start:stop]`
        ("stop", np.int64),
        ("depth", np.int64),
        ("feature", np.int64),  # of its split; see _NEW and _LEAF
        ("cut", np.int64),  # records with a code up to this go left
        ("above", np.int64),  # the next code in the node
        ("gain", np.float64),  # what the split takes from the summed Gini impurity
        ("left", np.int64),  # -1: not divided yet
        ("right", np.int64),
        ("place", np.int64),  # its node in the forest
        ("visit", np.int64),  # its first kept table, or -1
        ("visits", np.int64),
    ]
)
TABLE = np.dtype(
    [
        ("feature", np.int64),
        ("begin", np.int64),  # its first entry
        ("size", np.int64),
        ("score", np.float64),  # what `_scan` finds in it
        ("before", np.int64),
        ("after", np.int64),
        ("values", np.int64),
    ]
)
ENTRY = np.dtype([("code", np.int64), ("count", np.int64)])  # a value in a node, and its number of records
OPEN = np.dtype(
    [
        ("node", np.int64),
        ("low", np.int64),  # its removed records
        ("high", np.int64),
        ("place", np.int64),  # in the forest: of a leaf its own, of a node still to be grown its parent's
        ("side", np.int64),
        ("feature", np.int64),
        ("cut", np.int64),
        ("above", np.int64),
        ("gain", np.float64),
    ]
)
SPLIT = np.dtype([("feature", np.int32), ("left", np.int32), ("right", np.int32), ("threshold", np.float64)])


class Desk(NamedTuple):
    """Room for work, allocated once. Few arrays, as every call hands over all of them."""

    node: NDArray[np.void]
    weight: Array  # [., K] of the nodes, by class
    samples: Index
    aside: Index
    histogram: Array  # [C, K]
    seen: Index  # [C]
    met: NDArray[np.uint64]  # [C / 64]: a bit per code
    sums: Array  # [3, K]: left and right of a cut, and of the node at hand without what is removed
    order: Index  # [F]
    entry: NDArray[np.void]
    by_class: Array  # [., K] of the entries
    table: NDArray[np.void]
    used: Index  # [4]: entries, tables, nodes and samples in use
    removed: Index
    open: NDArray[np.void]  # nodes still to be grown, or leaves that may be split
    open_weight: Array  # [., K]


class Forest(NamedTuple):
    """Finished nodes. A leaf has feature -1 and its class shares in `share[left]`."""

    split: NDArray[np.void]
    share: Array  # [., K]
    used: Index  # [2]: nodes and leaves in use


_ENTRIES, _TABLES, _NODES, _SAMPLES = range(4)


@compiled
def _mix(z):  # type: ignore[no-untyped-def] # compiled
    """splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def _below(key, step, n):  # type: ignore[no-untyped-def] # compiled
    """A number in 0..n-1, the `step`th of a key."""
    return np.int64(((_mix(key + np.uint64(step)) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@compiled
def tree_key(key, tree):  # type: ignore[no-untyped-def] # compiled
    """The key of the root of a tree."""
    return _mix(key ^ _mix(np.uint64(tree)))


@compiled
def child_key(key, side):  # type: ignore[no-untyped-def] # compiled
    """The key of the left (1) or right (2) child."""
    return _mix(key ^ (np.uint64(side) << np.uint64(62)))


@compiled
def poisson_bag(key, record, out):  # type: ignore[no-untyped-def] # compiled
    """How often each record is in a tree's bag: Poisson with mean 1, from its own number only."""
    for i in range(record.size):
        u = np.float64(_mix(~key ^ _mix(np.uint64(record[i]))) >> np.uint64(11)) * 2.0**-53
        term = cumulated = np.exp(-1.0)
        times = 0
        while u >= cumulated and times < 20:
            times += 1
            term /= times
            cumulated += term
        out[i] = times


@compiled
def bootstrap_bag(key, out):  # type: ignore[no-untyped-def] # compiled
    """How often each place is drawn when n places are drawn with replacement."""
    out[:] = 0.0
    for i in range(out.size):
        out[_below(~key, i, out.size)] += 1.0


@compiled
def _count(code, label, weight, samples, desk, at):  # type: ignore[no-untyped-def] # compiled
    """Write the table of `samples` from entry `at` on. -> its size

    Codes are counted where they belong, and those that were met are found by the bits set in `met`, in ascending order:
    neither sorting nor a walk over all codes.
    """
    histogram, seen, met, entry, by_class = desk.histogram, desk.seen, desk.met, desk.entry, desk.by_class
    size, K, low, high = 0, by_class.shape[1], met.size, 0
    for s in samples:
        i = np.uint64(s)  # unsigned: an index that may be negative takes longer
        own = np.uint64(code[i])
        histogram[own, np.uint64(label[i])] += weight[i]
        seen[own] += 1
        at_word = own >> np.uint64(6)
        met[at_word] |= np.uint64(1) << (own & np.uint64(63))
        word = int(at_word)
        low, high = min(low, word), max(high, word + 1)
    for word in range(low, high):
        bits = met[word]
        met[word] = 0
        while bits:
            lowest = bits & (~bits + np.uint64(1))
            c = (word << 6) + _BIT[(lowest * _DE_BRUIJN) >> np.uint64(58)]
            bits ^= lowest
            entry[at + size].code = c
            entry[at + size].count = seen[c]
            seen[c] = 0
            for k in range(K):
                by_class[at + size, k] = histogram[c, k]
                histogram[c, k] = 0.0
            size += 1
    return size


@compiled
def _scan(entry, by_class, begin, size, total, sums, min_leaf):  # type: ignore[no-untyped-def] # compiled
    """The best cut of a table, whose class weights add up to `total` [K].

    -> score (sum over sides of squared class weights over the side's weight), entries before and after the cut
    (all -1 where min_leaf allows none), number of values
    """
    K = total.size
    n_left, n_right, w_left, w_right, square_left, square_right = 0, 0, 0.0, 0.0, 0.0, 0.0
    for k in range(K):
        sums[0, k], sums[1, k] = 0.0, total[k]
        w_right += total[k]
        square_right += total[k] * total[k]
    for e in range(begin, begin + size):
        n_right += entry[e].count
    best, before, after, last, values = -1.0, -1, -1, -1, 0
    for e in range(begin, begin + size):
        count = entry[e].count
        if count == 0:
            continue
        values += 1
        if n_left >= min_leaf and n_right >= min_leaf and last >= 0:
            over, under = square_left * w_right + square_right * w_left, w_left * w_right
            if over > best * under * 0.999999:  # most divisions are spared
                score = over / under
                if score > best:
                    best, before, after = score, last, e
        last = e
        n_left += count
        n_right -= count
        for k in range(K):
            w = by_class[e, k]
            square_left += w * (2.0 * sums[0, k] + w)
            square_right += w * (w - 2.0 * sums[1, k])
            sums[0, k] += w
            sums[1, k] -= w
            w_left += w
            w_right -= w
    return best, before, after, values


@compiled
def _take(code, label, weight, removed, entry, by_class, begin, size, sign):  # type: ignore[no-untyped-def] # compiled
    """Take the `removed` records out of a table (-1), or put them back (+1)."""
    for i in removed:
        a, b = begin, begin + size - 1
        while a < b:
            middle = (a + b) // 2
            if entry[middle].code < code[i]:
                a = middle + 1
            else:
                b = middle
        entry[a].count += sign
        by_class[a, label[i]] += sign * weight[i]


@compiled
def _is_leaf(rule, n, depth, total):  # type: ignore[no-untyped-def] # compiled
    """Whether a node is not to be split, whatever its values."""
    classes = 0
    for k in range(total.size):
        classes += total[k] > 0.0
    return n < rule.min_split or n < 2 * rule.min_leaf or depth >= rule.max_depth or classes < 2


@compiled
def _best(records, weight, rule, desk, node, low, high):  # type: ignore[no-untyped-def] # compiled
    """The best split of a node without the removed records `low:high`; class weights are left in `desk.sums[2]`.

    As many features as asked for are looked at, in an order drawn from the node's key, and more while all were
    constant. The first of equals is taken. -> feature or -1, cut, code above, gain
    """
    removed = 0.0
    desk.sums[2][:] = desk.weight[node]
    for r in range(low, high):
        desk.sums[2][records.label[desk.removed[r]]] -= weight[desk.removed[r]]
        removed += weight[desk.removed[r]]
    if _is_leaf(rule, desk.node[node].stop - desk.node[node].start - (high - low), desk.node[node].depth, desk.sums[2]):
        return _LEAF, 0, 0, 0.0
    bound = _bound(records, weight, rule, desk, node, low, high)
    best, feature, cut, above, varied, tried = -np.inf, _LEAF, 0, 0, False, 0
    while tried < records.code.shape[0] and (tried < rule.max_features or not varied):
        if desk.node[node].visit < 0 or tried >= desk.node[node].visits:
            _look(records, weight, rule, desk, node)
        table = desk.node[node].visit + tried
        tried += 1
        score, before, after, values = (
            desk.table[table].score,
            desk.table[table].before,
            desk.table[table].after,
            desk.table[table].values,
        )
        if high > low:
            # removing weight w adds at most 3 w to any score, so most tables need no second look
            if score + 3.0 * removed < bound and values > 1 + high - low:
                varied = True
                continue
            score, before, after, values = _rescan(records, weight, rule, desk, table, low, high)
        varied = varied or values > 1
        if before >= 0 and score > best:
            best, feature, cut, above = (
                score,
                desk.table[table].feature,
                desk.entry[before].code,
                desk.entry[after].code,
            )
    if feature < 0:
        return _LEAF, 0, 0, 0.0
    w, square = 0.0, 0.0
    for k in range(desk.sums.shape[1]):
        w += desk.sums[2][k]
        square += desk.sums[2][k] * desk.sums[2][k]
    return feature, cut, above, best - square / w


@compiled
def _bound(records, weight, rule, desk, node, low, high):  # type: ignore[no-untyped-def] # compiled
    """A score that the split of a node certainly reaches without its removed records: that of the best table so far."""
    if high == low:
        return -np.inf
    if desk.node[node].visit < 0:
        _look(records, weight, rule, desk, node)
    first = desk.node[node].visit
    table = first
    for each in range(first, first + rule.max_features):
        if desk.table[each].score > desk.table[table].score:
            table = each
    return _rescan(records, weight, rule, desk, table, low, high)[0]


@compiled
def _rescan(records, weight, rule, desk, table, low, high):  # type: ignore[no-untyped-def] # compiled
    """`_scan` of a table without the removed records `low:high`."""
    this, gone = desk.table[table], desk.removed[low:high]
    code, entry, by_class = records.code[this.feature], desk.entry, desk.by_class
    _take(code, records.label, weight, gone, entry, by_class, this.begin, this.size, -1)
    found = _scan(entry, by_class, this.begin, this.size, desk.sums[2], desk.sums, rule.min_leaf)
    _take(code, records.label, weight, gone, entry, by_class, this.begin, this.size, 1)
    return found


@compiled
def _look(records, weight, rule, desk, node):  # type: ignore[no-untyped-def] # compiled
    """Keep and scan the tables of a node: of `max_features` features, or of all if those kept were not enough."""
    n_features = records.code.shape[0]
    wanted = n_features if desk.node[node].visit >= 0 else rule.max_features
    key, samples = desk.node[node].key, desk.samples[desk.node[node].start : desk.node[node].stop]
    longest = 0
    for f in range(n_features):
        longest += min(samples.size, records.first[f + 1] - records.first[f])
    if desk.used[_ENTRIES] + longest > desk.entry.size or desk.used[_TABLES] + n_features > desk.table.size:
        for other in range(desk.used[_NODES]):  # no room: all tables are forgotten
            desk.node[other].visit = -1
        desk.used[_ENTRIES] = desk.used[_TABLES] = 0
    for f in range(n_features):
        desk.order[f] = f
    desk.node[node].visit = desk.used[_TABLES]
    desk.node[node].visits = wanted
    entry, by_class = desk.entry, desk.by_class
    for step in range(wanted):
        other = step + _below(key, step, n_features - step)
        desk.order[step], desk.order[other] = desk.order[other], desk.order[step]
        f, begin = desk.order[step], desk.used[_ENTRIES]
        size = _count(records.code[f], records.label, weight, samples, desk, begin)
        table = desk.table[desk.used[_TABLES]]
        table.feature, table.begin, table.size = f, begin, size
        found = _scan(entry, by_class, begin, size, desk.weight[node], desk.sums, rule.min_leaf)
        table.score, table.before, table.after, table.values = found
        desk.used[_TABLES] += 1
        desk.used[_ENTRIES] += size


@compiled
def _node(records, weight, desk, start, stop, depth, key):  # type: ignore[no-untyped-def] # compiled
    """A new node that holds the samples `start:stop`. -> its number"""
    node = desk.used[_NODES]
    desk.used[_NODES] += 1
    desk.node[node].start, desk.node[node].stop, desk.node[node].depth, desk.node[node].key = start, stop, depth, key
    desk.node[node].feature, desk.node[node].left, desk.node[node].visit, desk.node[node].place = _NEW, -1, -1, -1
    for k in range(records.n_classes):
        desk.weight[node, k] = 0.0
    for s in range(start, stop):
        i = desk.samples[s]
        desk.weight[node, records.label[i]] += weight[i]
    return node


@compiled
def _decide(records, weight, rule, desk, node):  # type: ignore[no-untyped-def] # compiled
    """Find the split of a node, if not done yet."""
    if desk.node[node].feature == _NEW:
        is_kept = desk.node[node].visit >= 0
        found = _best(records, weight, rule, desk, node, 0, 0)
        desk.node[node].feature, desk.node[node].cut, desk.node[node].above, desk.node[node].gain = found
        if desk.node[node].visit >= 0 and not is_kept:  # its tables are the last ones, and seldom looked at again
            desk.used[_TABLES] = desk.node[node].visit
            desk.used[_ENTRIES] = desk.table[desk.node[node].visit].begin
            desk.node[node].visit = -1


@compiled
def _divide(records, weight, desk, node):  # type: ignore[no-untyped-def] # compiled
    """Make the children of a node by its split, if not done yet."""
    if desk.node[node].left >= 0:
        return
    code, cut = records.code[desk.node[node].feature], desk.node[node].cut
    start, stop = desk.node[node].start, desk.node[node].stop
    middle, right, samples, aside = start, 0, desk.samples, desk.aside
    for s in range(start, stop):  # without branches, which would be guessed wrong half of the time
        i = samples[s]
        goes_left = code[np.uint64(i)] <= cut
        samples[middle] = aside[right] = i
        middle += goes_left
        right += not goes_left
    samples[middle:stop] = aside[:right]
    depth, key = desk.node[node].depth + 1, desk.node[node].key
    desk.node[node].left = _node(records, weight, desk, start, middle, depth, child_key(key, 1))
    desk.node[node].right = _node(records, weight, desk, middle, stop, depth, child_key(key, 2))


@compiled
def _without(records, weight, desk, node, low, high):  # type: ignore[no-untyped-def] # compiled
    """A new node like another, with samples of its own: those without the removed records `low:high`."""
    start = stop = desk.used[_SAMPLES]
    for s in range(desk.node[node].start, desk.node[node].stop):
        i = desk.samples[s]
        gone = False
        for r in range(low, high):
            gone = gone or desk.removed[r] == i
        if not gone:
            desk.samples[stop] = i
            stop += 1
    desk.used[_SAMPLES] = stop
    return _node(records, weight, desk, start, stop, desk.node[node].depth, desk.node[node].key)


@compiled
def _same_parts(records, desk, node, feature, cut, low, high):  # type: ignore[no-untyped-def] # compiled
    """Whether a split divides a node's samples, but for those removed, as the node's own does."""
    if desk.node[node].feature != feature:
        return False
    a, b = min(cut, desk.node[node].cut), max(cut, desk.node[node].cut)
    if a == b:
        return True
    between, code = 0, records.code[feature]
    for s in range(desk.node[node].start, desk.node[node].stop):
        between += a < code[desk.samples[s]] <= b
    for r in range(low, high):
        between -= a < code[desk.removed[r]] <= b
    return between == 0


@compiled
def _route(records, desk, node, low, high):  # type: ignore[no-untyped-def] # compiled
    """Order the removed records `low:high` by the child that holds them. -> where those of the right one start"""
    code, cut, middle = records.code[desk.node[node].feature], desk.node[node].cut, low
    for r in range(low, high):
        if code[desk.removed[r]] <= cut:
            desk.removed[r], desk.removed[middle] = desk.removed[middle], desk.removed[r]
            middle += 1
    return middle


@compiled
def _threshold(records, feature, cut, above):  # type: ignore[no-untyped-def] # compiled
    """Midway between two values, and never the upper one."""
    a, b = records.value[records.first[feature] + cut], records.value[records.first[feature] + above]
    middle = 0.5 * a + 0.5 * b
    return middle if a <= middle < b else a


@compiled
def _write_split(records, forest, place, feature, cut, above):  # type: ignore[no-untyped-def] # compiled
    forest.split[place].feature = feature
    forest.split[place].threshold = _threshold(records, feature, cut, above)


@compiled
def _write_leaf(forest, place, weight):  # type: ignore[no-untyped-def] # compiled
    total = weight.sum()
    leaf = forest.used[1]
    forest.used[1] += 1
    forest.split[place].feature, forest.split[place].left = _LEAF, leaf
    for k in range(weight.size):
        forest.share[leaf, k] = weight[k] / total if total > 0.0 else 0.0


@compiled
def _write_new(forest, parent, side):  # type: ignore[no-untyped-def] # compiled
    """A new node of the forest, hung below its parent (side 1 left, 2 right)."""
    place = forest.used[0]
    forest.used[0] += 1
    _hang(forest, parent, side, place)
    return place


@compiled
def _hang(forest, parent, side, place):  # type: ignore[no-untyped-def] # compiled
    if side == 1:
        forest.split[parent].left = place
    elif side == 2:
        forest.split[parent].right = place


@compiled
def _push(desk, top, node, low, high, parent, side):  # type: ignore[no-untyped-def] # compiled
    row = desk.open[top]
    row.node, row.low, row.high, row.place, row.side = node, low, high, parent, side
    return top + 1


@compiled
def _depth_first(records, weight, rule, desk, forest, root, n_removed):  # type: ignore[no-untyped-def] # compiled
    """Grow below `root`, or redo what its removed records change. -> its node in the forest"""
    out, top = -1, _push(desk, 0, root, 0, n_removed, -1, 0)
    while top:
        top -= 1
        row = desk.open[top]
        node, low, high, parent, side = row.node, row.low, row.high, row.place, row.side
        if low == high and desk.node[node].place >= 0:
            _hang(forest, parent, side, desk.node[node].place)
            continue
        feature, cut, above = _LEAF, 0, 0
        if high > low:
            feature, cut, above, _ = _best(records, weight, rule, desk, node, low, high)
            if feature >= 0 and not _same_parts(records, desk, node, feature, cut, low, high):
                node = _without(records, weight, desk, node, low, high)
                low = high
        place = _write_new(forest, parent, side)
        if parent < 0:
            out = place
        if low == high:
            _decide(records, weight, rule, desk, node)
            this = desk.node[node]
            this.place = place
            feature, cut, above = this.feature, this.cut, this.above
        if feature < 0:
            _write_leaf(forest, place, desk.weight[node] if low == high else desk.sums[2])
            continue
        _write_split(records, forest, place, feature, cut, above)
        _divide(records, weight, desk, node)
        middle = _route(records, desk, node, low, high)
        top = _push(desk, top, desk.node[node].right, middle, high, place, 2)
        top = _push(desk, top, desk.node[node].left, low, middle, place, 1)
    return out


@compiled
def _best_first(records, weight, rule, desk, forest, root, n_removed):  # type: ignore[no-untyped-def] # compiled
    """Split the leaf that gains most until there are `max_leaves`. -> the root's node in the forest"""
    out = _write_new(forest, -1, 0)
    top = _open(records, weight, rule, desk, root, 0, n_removed, out, 0)
    while top < rule.max_leaves:
        chosen = -1
        for leaf in range(top):
            if desk.open[leaf].feature >= 0 and (chosen < 0 or desk.open[leaf].gain > desk.open[chosen].gain):
                chosen = leaf
        if chosen < 0:
            break
        row = desk.open[chosen]
        node, low, high, place, feature, cut = row.node, row.low, row.high, row.place, row.feature, row.cut
        _write_split(records, forest, place, feature, cut, row.above)
        _decide(records, weight, rule, desk, node)
        if high > low and not _same_parts(records, desk, node, feature, cut, low, high):
            node = _without(records, weight, desk, node, low, high)
            low = high
            _decide(records, weight, rule, desk, node)
        _divide(records, weight, desk, node)
        middle = _route(records, desk, node, low, high)
        left, right = _write_new(forest, place, 1), _write_new(forest, place, 2)
        top -= 1
        for leaf in range(chosen, top):  # leaves stay in the order of their making: of equals the first is split
            desk.open[leaf] = desk.open[leaf + 1]
            desk.open_weight[leaf] = desk.open_weight[leaf + 1]
        top = _open(records, weight, rule, desk, desk.node[node].left, low, middle, left, top)
        top = _open(records, weight, rule, desk, desk.node[node].right, middle, high, right, top)
    for leaf in range(top):
        _write_leaf(forest, desk.open[leaf].place, desk.open_weight[leaf])
    return out


@compiled
def _open(records, weight, rule, desk, node, low, high, place, top):  # type: ignore[no-untyped-def] # compiled
    """Add a leaf to those that may be split. -> their number"""
    row = desk.open[top]
    row.node, row.low, row.high, row.place = node, low, high, place
    if high > low:
        row.feature, row.cut, row.above, row.gain = _best(records, weight, rule, desk, node, low, high)
        desk.open_weight[top] = desk.sums[2]
    else:
        _decide(records, weight, rule, desk, node)
        this = desk.node[node]
        row.feature, row.cut, row.above, row.gain = this.feature, this.cut, this.above, this.gain
        desk.open_weight[top] = desk.weight[node]
    return top + 1


@compiled
def grow(records, weight, rule, desk, forest, key, gone, first, root):  # type: ignore[no-untyped-def] # compiled
    """One tree for every row; row m is the union without the records `gone[first[m]:first[m + 1]]`.

    `weight` [U]: how much each record counts in this tree. Roots are written to `root` [M] where it is -1.
    -> whether there was room in `forest` for all; if not, those without a root are still to be grown.
    """
    n = 0
    for i in range(weight.size):
        if weight[i] > 0.0:
            desk.samples[n] = i
            n += 1
    most = min(2 * n + 1, 2 * rule.max_leaves) if rule.max_leaves else 2 * n + 1
    desk.used[:] = 0
    union, base = -1, -1
    for m in range(root.size):
        if root[m] >= 0:
            continue
        if forest.used[0] + 2 * most > forest.split.size or forest.used[1] + 2 * most > forest.share.shape[0]:
            return False
        if union < 0 or desk.used[_NODES] + 2 * most > desk.node.size:
            desk.used[:] = 0
            union = _node(records, weight, desk, 0, n, 0, key)
        desk.used[_SAMPLES] = n  # what earlier rows had of their own is given back
        n_removed = 0
        for r in range(first[m], first[m + 1]):
            if weight[gone[r]] > 0.0:
                desk.removed[n_removed] = gone[r]
                n_removed += 1
        if rule.max_leaves:
            if n_removed or base < 0:
                root[m] = _best_first(records, weight, rule, desk, forest, union, n_removed)
                base = base if n_removed else root[m]
            else:
                root[m] = base
        else:
            if base < 0:
                base = _depth_first(records, weight, rule, desk, forest, union, 0)
            n_nodes, root[m] = desk.used[_NODES], base
            if n_removed:
                root[m] = _depth_first(records, weight, rule, desk, forest, union, n_removed)
                desk.used[_NODES] = n_nodes
    return True


_TOGETHER = 64  # queries that go down a tree side by side: their steps do not wait for each other


@compiled
def answer(split, share, root, x, model):  # type: ignore[no-untyped-def] # compiled
    """Mean class shares over the trees `root` [M, T] of model `model` [Q] for records `x` [Q, F]. -> [Q, K]

    Trees without records do not vote; where none votes, classes are equally likely.
    """
    K = share.shape[1]
    out, at = np.zeros((x.shape[0], K)), np.empty(_TOGETHER, dtype=np.int64)
    for start in range(0, x.shape[0], _TOGETHER):
        n = min(_TOGETHER, x.shape[0] - start)
        for t in range(root.shape[1]):
            for q in range(n):
                at[q] = root[model[start + q], t]
            moved = True
            while moved:
                moved = False
                for q in range(n):  # without branches, which would be guessed wrong half of the time
                    node = at[q]
                    feature, left, right = split[node].feature, split[node].left, split[node].right
                    is_split = feature >= 0
                    value = x[start + q, feature if is_split else 0]
                    child = left if value <= split[node].threshold else right
                    at[q] = child if is_split else node
                    moved |= is_split
            for q in range(n):
                leaf = split[at[q]].left
                for k in range(K):
                    out[start + q, k] += share[leaf, k]
    _shares(out)
    return out


_AT_ONCE = 512  # queries whose places and sums stay in the nearest cache


@compiled
def answer_one(split, share, root, x):  # type: ignore[no-untyped-def] # compiled
    """`answer` for many queries of one model: the roots of its trees `root` [T], records `x` [Q, F]. -> [Q, K]

    Each tree is written out anew, children side by side and leaves leading to themselves, so that a step is a
    comparison and a sum. Sums are made in the same order: results are equal to the last bit.
    """
    K, most = share.shape[1], split.size
    out, at = np.zeros((x.shape[0], K)), np.empty(_AT_ONCE, dtype=np.uint64)
    node, level, threshold = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most)
    feature, first = np.empty(most, np.uint64), np.empty(most, np.uint64)
    for start in range(0, x.shape[0], _AT_ONCE):
        stop = min(start + _AT_ONCE, x.shape[0])
        for tree in root:
            node[0], level[0], size, i = tree, 0, 1, 0
            while i < size:
                this = split[node[i]]
                if this.feature >= 0:
                    feature[i], threshold[i], first[i] = this.feature, this.threshold, size
                    node[size], node[size + 1] = this.left, this.right
                    level[size] = level[size + 1] = level[i] + 1
                    size += 2
                else:
                    feature[i], threshold[i], first[i] = 0, np.inf, i
                i += 1
            at[: stop - start] = 0
            for _ in range(level[size - 1]):
                for q in range(start, stop):
                    here = at[q - start]
                    at[q - start] = first[here] + np.uint64(x[q, feature[here]] > threshold[here])
            for q in range(start, stop):
                leaf = split[node[at[q - start]]].left
                for k in range(K):
                    out[q, k] += share[leaf, k]
    _shares(out)
    return out


@compiled
def _shares(out):  # type: ignore[no-untyped-def] # compiled
    """Make each row's sums shares; classes are equally likely where there is nothing."""
    for q in range(out.shape[0]):
        total = out[q].sum()
        for k in range(out.shape[1]):
            out[q, k] = out[q, k] / total if total > 0.0 else 1.0 / out.shape[1]


@compiled
def below(split, root):  # type: ignore[no-untyped-def] # compiled
    """The nodes that some roots reach, each once, in the order of a walk. -> [.]"""
    seen = np.zeros(split.size, dtype=np.bool_)
    stack, out, top, n = np.empty(2 * split.size + root.size, np.int64), np.empty(split.size, np.int64), 0, 0
    for r in range(root.size - 1, -1, -1):
        stack[top] = root[r]
        top += 1
    while top:
        top -= 1
        node = stack[top]
        if seen[node]:
            continue
        seen[node] = True
        out[n] = node
        n += 1
        if split[node].feature >= 0:
            stack[top], stack[top + 1] = split[node].right, split[node].left
            top += 2
    return out[:n]
