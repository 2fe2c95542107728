"""Data sets. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.datasets.base import DatasetSpec
from fdabench.datasets.digits import DIGITS
from fdabench.datasets.images import CIFAR10, CIFAR100, FASHION_MNIST, MNIST

DATASETS: Mapping[str, DatasetSpec] = {
    "digits": DIGITS,
    "mnist": MNIST,
    "fashion-mnist": FASHION_MNIST,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
}
