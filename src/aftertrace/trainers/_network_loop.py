"""The plain torch loop, one model at a time: the slow obvious twin of the other paths, and what they share with it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from aftertrace.errors import TrainingError
from aftertrace.trainers._network import is_plain
from aftertrace.trainers._network_plain import initial
from aftertrace.trainers._network_rows import DROPOUT, INIT, Row, State, Stopping
from aftertrace.trainers._protocol import TrainingData

if TYPE_CHECKING:
    from aftertrace.trainers._network import Network, NetworkTrainer

_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bf16": torch.float32}


class MaskedDropout(nn.Module):
    """Dropout whose mask is drawn from a generator of the model's own, or given. Nothing in evaluation."""

    def __init__(self, dropout: nn.Dropout) -> None:
        super().__init__()
        self.p = dropout.p
        self.generator: torch.Generator | None = None
        self.mask: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        if self.mask is not None:
            return x * self.mask
        assert self.generator is not None
        return x * draw_mask(x.shape, self.p, self.generator, x.dtype)


def draw_mask(shape: Sequence[int], p: float, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """0 with probability `p` (a multiple of 2^-31), else 1 / (1 - p); the same draws in every precision.

    Masks of images [B, C, H, W] are drawn with channels last, as fast convolutions keep them.
    """
    images = len(shape) == 4
    drawn = [shape[0], *shape[2:], shape[1]] if images else list(shape)
    number = torch.empty(drawn, dtype=torch.int32, device=generator.device).random_(generator=generator)
    mask = (number >= round(p * 2**31)).to(dtype).mul_(1 / (1 - p))  # three times as fast as `bernoulli_`
    return mask.permute(0, 3, 1, 2) if images else mask


def dtype_of(trainer: "NetworkTrainer") -> torch.dtype:
    """The type of weights and data."""
    return _DTYPES[trainer.precision]


@contextmanager
def _global_generator(seed: int) -> Iterator[None]:
    """Torch's global generator of the CPU, seeded, and as it was afterwards: modules draw from no other."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def build(network: "Network", n_features: int, n_classes: int, seed: int) -> nn.Module:
    """A new module on the CPU in float32, so that the same seed gives the same weights in every precision."""
    with _global_generator(seed):
        module = network.build(n_features, n_classes)
    if is_plain(network):
        first = initial(network.widths(n_features, n_classes), seed)
        module.load_state_dict({name: torch.from_numpy(value) for name, value in first.items()})
    for parent in list(module.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Dropout:
                setattr(parent, name, MaskedDropout(layer))
    return module


def generator_of(row: Row, device: str) -> torch.Generator:
    """The generator of a row's dropout masks."""
    return torch.Generator(device).manual_seed(row.seed(DROPOUT))


def optimizer_of(
    trainer: "NetworkTrainer", parameters: Sequence[torch.Tensor], *, fused: bool = False
) -> torch.optim.Optimizer:
    """Torch's own. Both are elementwise, so that stacked parameters are as good as separate ones.

    `fused` makes one pass over the parameters instead of ten.
    """
    rate, decay = trainer.learning_rate, trainer.weight_decay
    if trainer.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=fused)
    return torch.optim.SGD(parameters, lr=rate, momentum=trainer.momentum, weight_decay=decay, fused=fused)


def started(trainer: "NetworkTrainer", data: TrainingData, row: Row) -> nn.Module:
    """The module that a row's training begins with, on the CPU, in the type of training."""
    module = build(trainer.network, data.x.shape[1], data.n_classes, row.seed(INIT)).to(dtype_of(trainer))
    if row.first is not None:
        module.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in row.first.items()})
    return module


def fit_loop(
    trainer: "NetworkTrainer", data: TrainingData, rows: Sequence[Row], *, device: str, tuned: bool
) -> list[State]:
    """Train row after row. `tuned` allows what is faster on a CPU and the same model up to rounding."""
    return [_fit_row(trainer, data, row, device, tuned) for row in rows]


def _fit_row(trainer: "NetworkTrainer", data: TrainingData, row: Row, device: str, tuned: bool) -> State:
    module = started(trainer, data, row)
    back = tune(module, data.x.shape[1]) if tuned else None
    module.to(device, dtype_of(trainer))
    generator = generator_of(row, device)
    for layer in module.modules():
        if isinstance(layer, MaskedDropout):
            layer.generator = generator
    train, validation = (Batch.of(trainer, data, row, records, device) for records in (row.train, row.validation))
    optimizer = optimizer_of(trainer, list(module.parameters()), fused=tuned)
    stopping = Stopping(trainer.early_stopping) if trainer.early_stopping else None
    sizes = batch_sizes(module, len(row.train), trainer.batch_size)
    with _global_generator(row.seed(DROPOUT)):  # for modules that draw masks of their own
        for _, order in zip(range(trainer.epochs), row.orders(), strict=False):
            module.train()
            for positions in torch.split(torch.from_numpy(order).to(device), sizes):
                _step(trainer, module, optimizer, train.part(positions))
            if stopping and stopping.ends(_validate(trainer, module, validation), lambda: state_of(module)):
                break
    state = (stopping and stopping.best) or state_of(module)
    return back(state) if back else state


def batch_sizes(module: nn.Module, n: int, size: int) -> list[int]:
    """Of the batches of an epoch of `n` records: `size` each and the rest.

    Batch normalisation has no variance in a single record, and one deletion more or less would decide whether there is
    such a rest: it joins the batch before.
    """
    sizes = [size] * (n // size) + [n % size] * (n % size > 0)
    normalises = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules())
    if normalises and len(sizes) > 1 and sizes[-1] == 1 < size:
        sizes[-2:] = [size + 1]
    return sizes


def _step(trainer: "NetworkTrainer", module: nn.Module, optimizer: torch.optim.Optimizer, batch: "Batch") -> None:
    optimizer.zero_grad()
    with refusals(len(batch.label)):
        batch.loss(_logits(trainer, module, batch)).backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    optimizer.step()


def _logits(trainer: "NetworkTrainer", module: nn.Module, batch: "Batch") -> torch.Tensor:
    with torch.autocast(batch.x.device.type, torch.bfloat16, enabled=trainer.precision == "bf16"):
        return module(batch.x)


def _validate(trainer: "NetworkTrainer", module: nn.Module, validation: "Batch") -> float:
    module.eval()
    with torch.no_grad():
        return float(validation.loss(_logits(trainer, module, validation)))


@contextmanager
def refusals(n: int) -> Iterator[None]:
    """A module's refusal of a batch of `n` records, such as of one record, which has no variance, as our error."""
    try:
        yield
    except ValueError as error:
        raise TrainingError(f"The network cannot take a batch of {n} records: {error}") from error


@dataclass(frozen=True, eq=False)
class Batch:
    """Records as tensors: `x` [B, F] in a model's units, `label` [B], `weight` [B] or all equal."""

    x: torch.Tensor
    label: torch.Tensor
    weight: torch.Tensor | None

    @classmethod
    def of(
        cls, trainer: "NetworkTrainer", data: TrainingData, row: Row, records: NDArray[np.intp], device: str
    ) -> "Batch":
        kind = {"dtype": dtype_of(trainer), "device": device}
        x = torch.as_tensor(row.scaled(data.x[records]), **kind)  # type: ignore[arg-type] # torch is strict on `**`
        weight = None if data.weight is None else torch.as_tensor(data.weight[records], **kind)  # type: ignore[arg-type]
        return cls(x, torch.as_tensor(data.label[records], device=device), weight)

    def part(self, positions: torch.Tensor) -> "Batch":
        """The records at `positions`."""
        weight = None if self.weight is None else self.weight[positions]
        return Batch(self.x[positions], self.label[positions], weight)

    def loss(self, logits: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy, weighted: sum(w·l) / sum(w), and 0 where the weights sum to 0."""
        return mean_loss(logits.to(self.x.dtype), self.label, self.weight)


def mean_loss(logits: torch.Tensor, label: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """[B, K], [B], [B] -> []"""
    if weight is None:
        return functional.cross_entropy(logits, label)
    total = weight.sum()
    losses = functional.cross_entropy(logits, label, reduction="none")
    return (weight * losses).sum() / torch.where(total > 0, total, torch.ones_like(total))


def state_of(module: nn.Module) -> State:
    """Copies of parameters and buffers by torch's names."""
    return {name: np.array(value.cpu().numpy(), order="C") for name, value in module.state_dict().items()}


class Evaluation:
    """A module without dropout, in the precision of the weights, into which one state after the other is loaded."""

    def __init__(self, network: "Network", n_features: int, n_classes: int, *, device: str) -> None:
        self._module = build(network, n_features, n_classes, seed=0).to(device).eval()
        self._device = device

    def logits(
        self, state: Mapping[str, NDArray[np.generic]], x: NDArray[np.float64], *, rows_at_once: int
    ) -> NDArray[np.float64]:
        """[Q, F] -> [Q, K]"""
        tensors = {name: torch.as_tensor(value) for name, value in state.items()}
        dtype = next((value.dtype for value in tensors.values() if value.is_floating_point()), torch.float64)
        self._module.to(dtype).load_state_dict(tensors)
        with torch.no_grad():
            parts = torch.split(torch.as_tensor(x, dtype=dtype), rows_at_once)
            return torch.cat([self._module(part.to(self._device)).cpu() for part in parts]).double().numpy()


class _FlattenChannelsLast(nn.Module):
    """[B, C, H, W] -> [B, H·W·C]: no copy of what convolutions leave with channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def tune(module: nn.Module, n_features: int) -> Callable[[State], State]:
    """Make `module` faster on a CPU, and the same function. Returns the way back for states.

    Convolutions keep channels last, and a linear layer right behind a flattening gets its columns in the order that
    arrives there. Only in a `Sequential` is it known what runs after what.
    """
    columns: dict[str, NDArray[np.intp]] = {}
    if any(isinstance(layer, nn.Conv2d) for layer in module.modules()):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's annotations lack it
        if type(module) is nn.Sequential:
            _pool_first(module)
            columns = _flatten_channels_last(module, n_features)

    def back(state: State) -> State:
        return {**state, **{name: state[name][:, np.argsort(order)] for name, order in columns.items()}}

    return back


def _pool_first(module: nn.Sequential) -> None:
    """Swap ReLU and max pooling behind it: both ways are equal, with their gradients, but fewer numbers to clip."""
    for i, (relu, pool) in enumerate(pairwise(list(module))):
        if type(relu) is nn.ReLU and type(pool) is nn.MaxPool2d:
            module[i], module[i + 1] = pool, relu


def _flatten_channels_last(module: nn.Sequential, n_features: int) -> dict[str, NDArray[np.intp]]:
    """Replace flattenings of images. -> the new order of columns, by the name of the linear layer's weight"""
    columns: dict[str, NDArray[np.intp]] = {}
    layers, x = list(module), torch.zeros(1, n_features, dtype=next(module.parameters()).dtype)
    module.eval()  # a record runs through without masks and without effect on buffers
    with torch.no_grad():
        for i, (flatten, linear) in enumerate(pairwise(layers)):
            if x.ndim == 4 and type(flatten) is nn.Flatten and type(linear) is nn.Linear:
                order = np.arange(x[0].numel()).reshape(x.shape[1:]).transpose(1, 2, 0).ravel()
                linear.weight.copy_(linear.weight[:, torch.from_numpy(order)])
                module[i] = _FlattenChannelsLast()
                columns[f"{i + 1}.weight"] = order
            x = flatten(x)
    return columns
