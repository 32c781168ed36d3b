"""Posteriors: what an outsider sees of the versions of a model.

Everything after this table (attacks, defenses, statistics) never touches a model. `Q` queries, `V` versions
(0 is the original), `K` classes.

    table = Posteriors.from_pair(before, after, label=label, role=role)    # arrays [Q, K], [Q, K], [Q], [Q]
    table = read_pair("before.csv", "after.csv")                           # or two files
    drop = table.phi[:, 0] - table.phi[:, 1]                               # the logit drop [Q]
    deleted = table.evaluated(Role.DELETED)
"""

from aftertrace.posteriors._correctness import correctness
from aftertrace.posteriors._features import Features, encoded_columns, filled_features, read_features
from aftertrace.posteriors._files import Answers, pseudonyms, read_answers
from aftertrace.posteriors._parquet import from_parquet, to_parquet
from aftertrace.posteriors._phi import PHI_LIMIT, log_loss, phi
from aftertrace.posteriors._posteriors import Kind, Posteriors, Use, concatenate
from aftertrace.posteriors._roles import ROLES, Role, membership, role_numbers
from aftertrace.posteriors._versions import VersionAnswers, read_pair, read_versions

__all__ = [
    "PHI_LIMIT",
    "ROLES",
    "Answers",
    "Features",
    "Kind",
    "Posteriors",
    "Role",
    "Use",
    "VersionAnswers",
    "concatenate",
    "correctness",
    "encoded_columns",
    "filled_features",
    "from_parquet",
    "log_loss",
    "membership",
    "phi",
    "pseudonyms",
    "read_answers",
    "read_features",
    "read_pair",
    "read_versions",
    "role_numbers",
    "to_parquet",
]
