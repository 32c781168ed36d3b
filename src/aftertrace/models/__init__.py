"""Models: other people's, asked as an outsider asks them.

`Q` records, `V` versions (0 is the original), `K` classes.

    before, after = open_model("before.skops"), open_model("package.module:factory@after.safetensors")
    subjects = Subjects.of(deleted=(x_deleted, y_deleted), unseen=(x_unseen, y_unseen))
    subjects = read_subjects({"deleted": Path("deleted.csv"), "unseen": Path("unseen.csv")})    # or from files
    answered = ask([before, after], subjects)               # in batches; classes by name; logits or probabilities
    table, notes = answered.posteriors, answered.notes      # Posteriors [Q, V, K], and what a reader must know
"""

from aftertrace.models._ask import Answered, ask
from aftertrace.models._imports import imported
from aftertrace.models._open import open_model
from aftertrace.models._outputs import SCORES, LogValues, Outputs, log_values
from aftertrace.models._protocol import Budgeted, Model, Noted
from aftertrace.models._records import Records
from aftertrace.models._subject_files import read_subjects
from aftertrace.models._subjects import Subjects

__all__ = [
    "SCORES",
    "Answered",
    "Budgeted",
    "LogValues",
    "Model",
    "Noted",
    "Outputs",
    "Records",
    "Subjects",
    "ask",
    "imported",
    "log_values",
    "open_model",
    "read_subjects",
]
