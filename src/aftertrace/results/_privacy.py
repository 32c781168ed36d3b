"""What the differential privacy of models promises, beside what an attack found."""

import math
from dataclasses import dataclass

from aftertrace.statistics import CeilingCheck, DpGuarantee, Interval, check_ceiling, dp_compose, dp_group
from aftertrace.trainers import Guarantee


@dataclass(frozen=True, kw_only=True)
class PrivacyResult:
    """What the models' differential privacy promises, and whether the verdict's attack refutes it.

    `guarantee`: of each model, for a record. `models`: of how many an attacked record was part, which compose.
    `records`: the fewest and the most that a person has; one where records are judged. `check`: the AUC against its
    ceiling for a substituted record, or person (`aftertrace.statistics.check_ceiling`); 1 where every AUC is allowed.
    """

    guarantee: Guarantee
    models: int
    check: CeilingCheck
    records: tuple[int, int] = (1, 1)

    @classmethod
    def of(
        cls, guarantee: Guarantee, auc: Interval, *, models: int, records: tuple[int, int] = (1, 1)
    ) -> "PrivacyResult":
        """Noise is fresh for every model, so that guarantees of several add up.

        A person is a group of records (`dp_group`). Persons with differently many leave models of differently many
        records, of which a guarantee for substitution, or for a public number of records, says nothing: no ceiling.
        """
        fewest, most = records
        own = DpGuarantee(guarantee.epsilon, guarantee.delta)
        if fewest == most:
            each = dp_group(own, size=most if guarantee.adjacency == "substitution" else 2 * most)
        else:
            each = DpGuarantee(math.inf)
        check = check_ceiling(auc, dp_compose([each] * models))
        return cls(guarantee=guarantee, models=models, check=check, records=records)

    @property
    def has_ceiling(self) -> bool:
        """Is there an AUC that no attack may exceed?"""
        return self.check.ceiling < 1

    @property
    def sentence(self) -> str:
        """The promise and the finding, for a person."""
        change = "added or removed" if self.guarantee.adjacency == "add_remove" else "substituted"
        words = {True: "refutes it", False: "does not refute it", None: "says nothing, having no interval"}
        fewest, most = self.records
        promise = (
            f"Each model is ({self.guarantee.epsilon:.3g}, {self.guarantee.delta:.3g})-differentially private for a "
            f"record {change} ({self.guarantee.account})."
        )
        if fewest < most:
            return (
                f"{promise} That is for one record, among equally many; persons here have {fewest} to {most} records. "
                f"So it puts no ceiling on how well a person can be told."
            )
        if most > 1:
            promise = f"{promise} A person here has {most} records, for which together it promises less."
        if not self.has_ceiling:
            return f"{promise} That allows every AUC: there is no ceiling to hold an attack to."
        return (
            f"{promise} No attack may then exceed an AUC of {self.check.ceiling:.3f}; what was found, "
            f"{self.check.auc.estimate:.3f}, {words[self.check.violated]}."
        )
