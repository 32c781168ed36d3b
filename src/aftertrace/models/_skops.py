"""Files of skops: estimators without pickle."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from aftertrace._spelling import some
from aftertrace.errors import InputError
from aftertrace.models._files import file_digest, first_line, notes_of
from aftertrace.models._sklearn import SklearnModel, wrap_estimator
from aftertrace.models._trees import check_trees
from aftertrace.posteriors._archives import archive_names

KNOWN_TYPES = frozenset(
    {
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRFClassifier",
    }
)
"""Types beyond those that skops trusts: they hold numbers and run no code of the file.

skops leaves out trees because a forged one can point outside its arrays: `check_trees` refuses those. A forged booster
can still end the process where its library trusts the numbers in it, and no more.
"""


def open_skops(path: Path) -> SklearnModel:
    """The estimator in a skops file. Nothing is unpickled, and no type beyond skops's own and `KNOWN_TYPES` is made.

    Raises `InputError` where skops is not installed, the file is damaged, or holds other types.
    """
    try:
        from skops.io import get_untrusted_types, load
    except ImportError as error:
        raise InputError(f"{path}: needs skops: pip install 'aftertrace[skops]', and try again.") from error
    if "schema.json" not in archive_names(path):
        raise InputError(f"{path}: is no file of skops: it has no schema.json. Write it with skops.io.dump.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            untrusted = sorted(set(get_untrusted_types(file=path)) - KNOWN_TYPES)
            if not untrusted:
                estimator: Any = load(path, trusted=sorted(KNOWN_TYPES))
        except Exception as error:  # skops raises whatever a damaged file leads to
            raise InputError(
                f"{path}: cannot be read by skops ({type(error).__name__}: {first_line(error)})."
            ) from error
    if untrusted:
        raise InputError(
            f"{path}: holds types that are not known to be harmless: {some(untrusted)}. If you made the file yourself, "
            f"save the model with joblib and say `trust_pickle=True`; or bring a function of records "
            f"(package.module:name)."
        )
    check_trees(estimator, str(path))
    return replace(wrap_estimator(estimator), fingerprint=file_digest(path), notes=notes_of(caught))
