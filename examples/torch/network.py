"""The network of the example: `network:make` is the factory that aftertrace calls."""

from torch import Tensor, nn


class Digits(nn.Module):
    """Images [Q, 1, 8, 8] to logits [Q, 10]."""

    classes = tuple("0123456789")

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Dropout(0.1), nn.Linear(144, 64), nn.ReLU(), nn.Linear(64, 10)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.layers(x)


def make() -> nn.Module:
    """A network whose weights are still to come."""
    return Digits()
