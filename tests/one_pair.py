"""One pair of models for tests: its records and answers at random, and files of answers that leak as much as wanted."""

import numpy as np

from aftertrace.attacks import simulated_posteriors

DELETED, UNSEEN = 60, 100
N = DELETED + UNSEEN
ROLE = ["deleted"] * DELETED + ["unseen"] * UNSEEN
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
LABEL = RNG.integers(0, 2, N)
BEFORE = RNG.dirichlet([2, 2], N)
AFTER = (BEFORE + RNG.dirichlet([2, 2], N)) / 2


def write_release(folder, *, leak, pairs=150, candidate="candidate.csv"):
    """Posteriors of a published model and of a candidate, `pairs` deleted and as many unseen records."""
    table = simulated_posteriors(leak=leak, seed=0, originals=1, pairs=pairs)
    roles = np.where(table.role == 0, "deleted", "unseen")
    for version, name in enumerate(("published.csv", candidate)):
        rows = zip(table.label, roles, table.values[:, version].tolist(), strict=True)
        lines = [f"{number},{label},{role},{','.join(map(str, row))}" for number, (label, role, row) in enumerate(rows)]
        (folder / name).write_text("\n".join(["record,label,role,0,1,2", *lines]))
