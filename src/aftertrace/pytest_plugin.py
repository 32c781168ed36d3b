"""The gate as a pytest fixture: a test that fails where deletions show.

def test_release(assert_no_deletion_leak):
    assert_no_deletion_leak(before="v1.skops", after="v2.skops", deleted="d.csv", unseen="u.csv", limits={"auc": 0.6})

pytest finds this module by itself where aftertrace is installed.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aftertrace import Audit


@pytest.fixture
def assert_no_deletion_leak() -> "Callable[..., Audit]":
    """Call it as `aftertrace.audit`, with `before`, `after`, `limits` and whatever else that takes.

    The test fails, with the verdict and every limit, where a limit is exceeded, and also where the audit cannot tell
    (inconclusive, or a control failed): no release for want of proof. Input that cannot be audited fails it with one
    line. Returns the finished audit.
    """
    return _assert_no_deletion_leak


def _assert_no_deletion_leak(before: Any, after: Any, *, limits: Any, **options: Any) -> "Audit":
    __tracebackhide__ = True
    # not before it is called: collecting tests must not wait for numerical libraries
    from aftertrace import audit
    from aftertrace.errors import AftertraceError
    from aftertrace.report import gate_text
    from aftertrace.results import Outcome

    try:
        found = audit(before, after, limits=limits, **options)
    except AftertraceError as error:
        raise pytest.fail.Exception(f"aftertrace: {error}", pytrace=False) from None
    if found.outcome is not Outcome.WITHIN:
        pytest.fail(gate_text(found.result), pytrace=False)
    return found
