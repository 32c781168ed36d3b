"""May the candidate be published? pytest says so, beside your other tests.

The posteriors of both models at the deleted records and at unseen ones, as files with a column `role`. Models, or
arrays, do as well: docs/gate.md.
"""

LIMITS = {"auc": 0.6, "accuracy_loss": 0.05}


def test_deletions_do_not_show(assert_no_deletion_leak):
    assert_no_deletion_leak(before="published.csv", after="candidate.csv", limits=LIMITS)
