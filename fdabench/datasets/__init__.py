"""The built-in data sets, by the names that suites use. `registry.registry` adds them to the built-in registry.

To add a data set, write a `DatasetSpec` and add a line to `DATASETS`.
"""

from collections.abc import Mapping

from fdabench.datasets.base import DatasetSpec
from fdabench.datasets.digits import DIGITS
from fdabench.datasets.images import CIFAR10, CIFAR100, FASHION_MNIST, MNIST
from fdabench.datasets.shakespeare import SHAKESPEARE

DATASETS: Mapping[str, DatasetSpec] = {
    "digits": DIGITS,
    "mnist": MNIST,
    "fashion-mnist": FASHION_MNIST,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "shakespeare": SHAKESPEARE,
}
