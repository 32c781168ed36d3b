"""How the deployer trains, and the models that came of it."""

import joblib
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def pipeline(strength: float = 1.0) -> Pipeline:
    """The model before it is trained; `strength` is how far it may bend towards single records."""
    encode = OneHotEncoder(handle_unknown="ignore")  # a clinic may be in none of the training records
    columns = make_column_transformer((encode, ["clinic"]), remainder=StandardScaler())
    return make_pipeline(columns, LogisticRegression(C=strength, max_iter=2000))


def before() -> Pipeline:
    """The model before the deletions."""
    return joblib.load("work/before.joblib")


def after() -> Pipeline:
    """The model after them."""
    return joblib.load("work/after.joblib")
