"""Devices that trainers run on, by torch's names."""

import importlib.util
import re

from aftertrace.errors import UnsupportedError


def check_device(device: str, trained: str) -> None:
    """Refuse what cannot train, by name. `trained` begins the sentence: "Networks are"."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise UnsupportedError(f"{trained} trained on device 'cpu' or 'cuda', got {device!r}.")
    if device == "cpu":
        return
    if importlib.util.find_spec("torch") is None:
        raise UnsupportedError(f"{trained} trained on device {device!r} by PyTorch only: pip install torch.")
    import torch

    if not torch.cuda.is_available():
        raise UnsupportedError(f"{trained} trained on device 'cpu' here, as torch finds no GPU, got {device!r}.")
    n_devices = torch.cuda.device_count()
    if (torch.device(device).index or 0) >= n_devices:
        raise UnsupportedError(f"{trained} trained on device 'cuda:{n_devices - 1}' at most here, got {device!r}.")
