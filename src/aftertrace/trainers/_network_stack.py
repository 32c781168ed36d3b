"""Many networks as one: parameters, buffers and batches stacked, one call for all (`torch.func.vmap`).

What a GPU needs to be busy with small networks. Rows with equally many records are stacked, so that all batches of a
step have one size and a normalisation sees no padding; dropout masks come from each model's own generator.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional

from aftertrace.trainers._network_loop import (
    Batch,
    MaskedDropout,
    batch_sizes,
    draw_mask,
    generator_of,
    optimizer_of,
    refusals,
    started,
)
from aftertrace.trainers._network_rows import Row, State, Stopping
from aftertrace.trainers._protocol import TrainingData

if TYPE_CHECKING:
    from aftertrace.trainers._network import NetworkTrainer

Tensors = dict[str, torch.Tensor]


def fit_stacked(trainer: "NetworkTrainer", data: TrainingData, rows: Sequence[Row], device: str) -> list[State]:
    """Train `trainer.stack` rows at a time."""
    states: list[State] = [{} for _ in rows]
    sizes = np.array([(len(row.train), len(row.validation)) for row in rows]).reshape(-1, 2)
    for size in np.unique(sizes, axis=0):
        members = np.flatnonzero((sizes == size).all(axis=1))
        for start in range(0, len(members), trainer.stack):
            part = members[start : start + trainer.stack]
            trained = _Stack(trainer, data, [rows[m] for m in part], device).train()
            for m, state in zip(part, trained, strict=True):
                states[m] = state
    return states


class _Stack:
    """S models in training; every tensor has a first dimension of S."""

    def __init__(self, trainer: "NetworkTrainer", data: TrainingData, rows: Sequence[Row], device: str) -> None:
        self.trainer, self.rows = trainer, rows
        modules = [started(trainer, data, row).to(device) for row in rows]
        self.skeleton = modules[0]
        self.parameters = _stack_by_name([dict(each.named_parameters()) for each in modules])
        self.buffers = _stack_by_name([dict(each.named_buffers()) for each in modules])
        for parameter in self.parameters.values():
            parameter.requires_grad_()
        self.dropouts = {
            name: layer for name, layer in self.skeleton.named_modules() if isinstance(layer, MaskedDropout)
        }
        self.generators = [generator_of(row, device) for row in rows]
        self.batches = _stacked([Batch.of(trainer, data, row, row.train, device) for row in rows])
        self.validation = _stacked([Batch.of(trainer, data, row, row.validation, device) for row in rows])
        self.shapes: dict[str, tuple[int, ...]] = {}  # of one record where it is dropped out, in the order of calls

    def train(self) -> list[State]:
        """-> the state of each row"""
        trainer = self.trainer
        optimizer = optimizer_of(trainer, list(self.parameters.values()))
        stopping = [Stopping(trainer.early_stopping) for _ in self.rows] if trainer.early_stopping else []
        final: list[State | None] = [None] * len(self.rows)
        orders = [row.orders() for row in self.rows]
        sizes = batch_sizes(self.skeleton, self.batches.x.shape[1], trainer.batch_size)
        for _ in range(trainer.epochs):
            self.skeleton.train()
            order = torch.from_numpy(np.stack([next(each) for each in orders])).to(self.batches.x.device)
            for positions in torch.split(order, sizes, dim=1):
                self._step(optimizer, positions)
            if stopping and self._all_stopped(stopping, final):
                break
        return [state or self._state(m) for m, state in enumerate(final)]

    def _step(self, optimizer: torch.optim.Optimizer, positions: torch.Tensor) -> None:
        model = torch.arange(len(self.rows), device=positions.device)[:, None]
        x, label = self.batches.x[model, positions], self.batches.label[model, positions]
        weight = None if self.batches.weight is None else self.batches.weight[model, positions]
        optimizer.zero_grad()
        masks = self._masks(x)
        with (
            refusals(x.shape[1]),
            torch.autocast(x.device.type, torch.bfloat16, enabled=self.trainer.precision == "bf16"),
        ):
            logits = self._forward(x, masks)
        torch.autograd.backward(_losses(logits.to(x.dtype), label, weight).sum())
        optimizer.step()

    def _forward(self, x: torch.Tensor, masks: Tensors) -> torch.Tensor:
        """[S, B, F] -> [S, B, K]"""

        def one(parameters: Tensors, buffers: Tensors, x: torch.Tensor, masks: Tensors) -> torch.Tensor:
            for name, mask in masks.items():
                self.dropouts[name].mask = mask
            return functional_call(self.skeleton, {**parameters, **buffers}, (x,))

        return vmap(one)(self.parameters, self.buffers, x, masks)

    def _masks(self, x: torch.Tensor) -> Tensors:
        """One mask per dropout and model, drawn in the order in which the module calls them."""
        active = {name: layer for name, layer in self.dropouts.items() if layer.p > 0}
        if not active:
            return {}
        if not self.shapes:
            self.shapes = _shapes(self.skeleton, active, x[0, :2])
        drawn: dict[str, list[torch.Tensor]] = {name: [] for name in self.shapes}
        for generator in self.generators:
            for name, shape in self.shapes.items():
                drawn[name].append(draw_mask((x.shape[1], *shape), active[name].p, generator, x.dtype))
        return {name: torch.stack(each) for name, each in drawn.items()}

    def _all_stopped(self, stopping: Sequence[Stopping], final: list[State | None]) -> bool:
        """After an epoch: keep the state of those whose last epoch it was. -> whether all have stopped"""
        self.skeleton.eval()
        with torch.no_grad():
            logits = self._forward(self.validation.x, {})
            losses = _losses(logits.to(self.validation.x.dtype), self.validation.label, self.validation.weight)
        for m, each in enumerate(stopping):
            if final[m] is None and each.ends(float(losses[m]), lambda m=m: self._state(m)):  # type: ignore[misc]
                final[m] = each.best or self._state(m)
        return all(state is not None for state in final)

    def _state(self, m: int) -> State:
        """As `state_of`."""
        tensors = {**self.parameters, **self.buffers}
        return {name: tensors[name][m].detach().cpu().numpy().copy() for name in self.skeleton.state_dict()}


def _stacked(batches: Sequence[Batch]) -> Batch:
    weight = None if batches[0].weight is None else torch.stack([each.weight for each in batches])  # type: ignore[misc]
    return Batch(torch.stack([each.x for each in batches]), torch.stack([each.label for each in batches]), weight)


def _stack_by_name(each: Sequence[Tensors]) -> Tensors:
    # `torch.func.stack_module_state` asks for one class, which a class made inside `build` is not
    return {name: torch.stack([tensors[name].detach() for tensors in each]) for name in each[0]}


def _losses(logits: torch.Tensor, label: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """`Batch.loss` of each model. [S, B, K] -> [S]"""
    each = functional.cross_entropy(logits.transpose(1, 2), label, reduction="none")
    if weight is None:
        return each.mean(dim=1)
    total = weight.sum(dim=1)
    return (each * weight).sum(dim=1) / torch.where(total > 0, total, 1)


def _shapes(module: nn.Module, dropouts: Mapping[str, MaskedDropout], x: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """What one record looks like at each dropout, in the order of calls: seen in one pass without effect."""
    shapes: dict[str, tuple[int, ...]] = {}
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: shapes.update({name: tuple(inputs[0].shape[1:])}))
        for name, layer in dropouts.items()
    ]
    module.eval()
    with torch.no_grad():
        module(x)
    module.train()
    for handle in handles:
        handle.remove()
    return shapes
