"""Published networks for images, trained from new weights: ResNet-50 and DenseNet-121."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from aftertrace.errors import InputError

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class ResNet50:
    """ResNet-50 (He et al., Deep Residual Learning for Image Recognition, CVPR 2016, table 1) for images of `shape`
    (channels, height, width), given as rows of F = C·H·W numbers.

    conv 7x7/2 (`width`), max pool 3x3/2, four stages of `blocks` bottlenecks (1x1, 3x3, 1x1 with four times as many
    channels) whose width doubles and whose side halves at each stage, mean over pixels, logits. Batch normalisation
    behind every convolution; its running statistics belong to the model. Other `blocks` and `width` give smaller or
    larger networks of the same kind.

    Meant for 224 pixels: a CIFAR-10 image is 8 pixels wide behind the stem and 1 in the last stage, as in the code of
    arXiv 2005.02205. Deviation from the paper: the 3x3 convolution of a stage's first bottleneck halves the side, not
    the 1x1 one before it, as in that code's torchvision. Weights of convolutions are drawn as there: normal, with
    variance 2 / (outputs · pixels of the kernel).

    Raises `ValueError` for parameters out of range.
    """

    shape: Shape = (3, 32, 32)
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64

    def __post_init__(self) -> None:
        _check_shape(self.shape)
        _check_counts(blocks=self.blocks, width=[self.width])
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "blocks", tuple(self.blocks))

    def build(self, n_features: int, n_classes: int) -> "nn.Module":
        """[Q, C·H·W] -> [Q, K]. Raises `InputError` where F is not C·H·W."""
        from aftertrace.trainers._image_layers import resnet

        check_columns(self.shape, n_features)
        return resnet(self.shape, self.blocks, self.width, n_classes)


@dataclass(frozen=True)
class DenseNet121:
    """DenseNet-121 (Huang et al., Densely Connected Convolutional Networks, CVPR 2017, table 1: DenseNet-BC) for images
    of `shape` (channels, height, width), given as rows of F = C·H·W numbers.

    conv 7x7/2 (2 · `growth`), max pool 3x3/2, dense blocks of `blocks` layers that each add `growth` channels (1x1 to
    4 · `growth`, then 3x3), between them transitions to half the channels and half the side, mean over pixels, logits.
    Batch normalisation and ReLU before every convolution but the first; its running statistics belong to the model.
    Other `blocks` and `growth` give smaller or larger networks of the same kind.

    Deviation: an odd side is halved up instead of down, so that MNIST's 28 pixels suffice, where torchvision's network
    fails; nothing else changes. Weights of convolutions are normal, with variance 2 / (inputs · pixels of the kernel).

    Raises `ValueError` for parameters out of range.
    """

    shape: Shape = (3, 32, 32)
    blocks: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32

    def __post_init__(self) -> None:
        _check_shape(self.shape)
        _check_counts(blocks=self.blocks, growth=[self.growth])
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "blocks", tuple(self.blocks))

    def build(self, n_features: int, n_classes: int) -> "nn.Module":
        """[Q, C·H·W] -> [Q, K]. Raises `InputError` where F is not C·H·W."""
        from aftertrace.trainers._image_layers import densenet

        check_columns(self.shape, n_features)
        return densenet(self.shape, self.blocks, self.growth, n_classes)


def check_columns(shape: Sequence[int], n_features: int) -> None:
    """Refuse records that are no images of `shape`."""
    if n_features != prod(shape):
        raise InputError(
            f"Images of shape {tuple(shape)} have {prod(shape)} columns, got {n_features}; set `shape` to the data's."
        )


def _check_shape(shape: Sequence[int]) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"`shape` must be (channels, height, width) of at least (1, 1, 1), got {tuple(shape)}.")


def _check_counts(**counts: Sequence[int]) -> None:
    for name, values in counts.items():
        if len(values) == 0 or min(values) < 1:
            raise ValueError(f"`{name}` must be at least 1 everywhere, got {', '.join(map(str, values)) or 'nothing'}.")
