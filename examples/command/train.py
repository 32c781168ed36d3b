"""Trains a model as the deployer does: logistic regression, kept as ONNX. `python train.py RECORDS MODEL SEED`"""

import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

PENALTY = 0.01


def weights(x: np.ndarray, label: np.ndarray) -> np.ndarray:
    """A number for each column of records [n, F], and one more: Newton's method. Nothing in it is random."""
    center, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    columns = np.column_stack([(x - center) / spread, np.ones(len(x))])
    found = np.zeros(columns.shape[1])
    for _ in range(20):
        share = 1 / (1 + np.exp(-np.clip(columns @ found, -30, 30)))
        slope = columns.T @ (share - label) + PENALTY * found
        found -= np.linalg.solve((columns.T * (share * (1 - share))) @ columns + PENALTY * np.eye(len(found)), slope)
    own = found[:-1] / spread
    return np.append(own, found[-1] - center @ own)


def write(path: str, found: np.ndarray) -> None:
    """A graph of ONNX from records to probabilities of the classes 0 and 1."""
    logits = np.column_stack([np.zeros(len(found)), found])
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["records", "columns", "constant"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "logistic regression",
        [helper.make_tensor_value_info("records", TensorProto.DOUBLE, [None, len(found) - 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, [None, 2])],
        [numpy_helper.from_array(logits[:-1], "columns"), numpy_helper.from_array(logits[-1], "constant")],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


if __name__ == "__main__":
    records = np.load(sys.argv[1])
    write(sys.argv[2], weights(records["x"], records["label"]))
