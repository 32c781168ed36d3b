"""Save a target folder of SACRO-ML with CSV files instead of pickles, for aftertrace and whoever else opens it.

    python sacro_to_csv.py target_before csv_before

Run it where SACRO-ML is installed (it was tried with sacroml 2.0.1), and only on a folder of your own: SACRO-ML opens
pickles, and a pickle runs code of whoever made it. Of the model only its answers are saved.
"""

import sys
from pathlib import Path

import numpy as np
import yaml
from sacroml.attacks.target import Target

ARRAYS = ("proba_train", "proba_test", "y_train", "y_test", "indices_train", "indices_test", "X_train", "X_test")


def main(source: str, folder: Path) -> None:
    """Read the target in `source` and write the arrays that there are into `folder`."""
    target = Target()
    target.load(source)
    for side in ("train", "test"):
        if getattr(target, f"proba_{side}") is None:
            setattr(target, f"proba_{side}", target.model.predict_proba(getattr(target, f"X_{side}")))
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"dataset_name": target.dataset_name}
    for name in ARRAYS:
        array = getattr(target, name)
        if array is not None:
            rows = np.asarray(array).reshape(len(array), -1)
            np.savetxt(folder / f"{name}.csv", rows, delimiter=",", fmt="%s")
            settings[f"{name}_path"] = f"{name}.csv"
    (folder / "target.yaml").write_text(yaml.dump(settings, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
