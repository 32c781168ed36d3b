"""What ResNets and DenseNets are made of, in torch."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

EXPANSION = 4
"""Channels behind a bottleneck for each inside a ResNet's, and inside one for each that a DenseNet's layer adds."""


class Bottleneck(nn.Module):
    """relu(shortcut(x) + residual(x)), with `width` channels inside and 4 · `width` out. [B, C, H, W]"""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.residual = nn.Sequential(
            _convolution(inputs, width, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _convolution(width, width, 3, stride),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _convolution(width, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(_convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.shortcut(x) + self.residual(x))


class DenseLayer(nn.Module):
    """Its input, and `growth` new channels behind it. [B, C, H, W] -> [B, C + growth, H, W]"""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.new = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            _convolution(inputs, EXPANSION * growth, 1),
            nn.BatchNorm2d(EXPANSION * growth),
            nn.ReLU(),
            _convolution(EXPANSION * growth, growth, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.new(x)], dim=1)


def resnet(shape: tuple[int, int, int], blocks: Sequence[int], width: int, n_classes: int) -> nn.Sequential:
    """[B, C·H·W] -> [B, K]"""
    layers, channels = _stem(shape, width), width
    for stage, n_blocks in enumerate(blocks):
        for block in range(n_blocks):
            layers.append(Bottleneck(channels, width << stage, stride=2 if stage and not block else 1))
            channels = EXPANSION * width << stage
    return _drawn(nn.Sequential(*layers, *_head(channels, n_classes)), "fan_out")


def densenet(shape: tuple[int, int, int], blocks: Sequence[int], growth: int, n_classes: int) -> nn.Sequential:
    """[B, C·H·W] -> [B, K]"""
    layers, channels = _stem(shape, 2 * growth), 2 * growth
    for number, n_layers in enumerate(blocks):
        if number:
            layers += [nn.BatchNorm2d(channels), nn.ReLU(), _convolution(channels, channels // 2, 1)]
            layers.append(nn.AvgPool2d(2, ceil_mode=True))
            channels //= 2
        for _ in range(n_layers):
            layers.append(DenseLayer(channels, growth))
            channels += growth
    layers += [nn.BatchNorm2d(channels), nn.ReLU()]
    return _drawn(nn.Sequential(*layers, *_head(channels, n_classes)), "fan_in")


def _stem(shape: tuple[int, int, int], outputs: int) -> list[nn.Module]:
    """From rows to channels of a quarter of the side."""
    return [
        nn.Unflatten(1, shape),
        _convolution(shape[0], outputs, 7, 2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]


def _head(channels: int, n_classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, n_classes)]


def _convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Conv2d:
    """Keeps the side, or divides it by `stride`; without a bias, as a normalisation comes before or behind it."""
    return nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)


def _drawn(module: nn.Sequential, fan: Literal["fan_in", "fan_out"]) -> nn.Sequential:
    """With convolutions drawn as He et al. (Delving Deep into Rectifiers, ICCV 2015) do for ReLUs."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode=fan, nonlinearity="relu")
    return module
