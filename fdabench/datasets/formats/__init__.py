"""The formats in which users can store data sets on disk, by the `kind` of the table `dataset` of a workload.

To add a format, write a frozen dataclass that implements `DataFormat` and add a line to `FORMATS`.
"""

from collections.abc import Mapping

from fdabench.datasets.formats.base import DataFormat
from fdabench.datasets.formats.hf_disk import HfDisk
from fdabench.datasets.formats.image_folder import ImageFolder
from fdabench.datasets.formats.leaf import Leaf
from fdabench.datasets.formats.npz import Npz
from fdabench.datasets.formats.table import TableFiles
from fdabench.datasets.formats.text import Text
from fdabench.datasets.formats.torchvision_root import TorchvisionRoot

FORMATS: Mapping[str, type[DataFormat]] = {
    "table": TableFiles,
    "hf-disk": HfDisk,
    "npz": Npz,
    "image-folder": ImageFolder,
    "leaf": Leaf,
    "torchvision": TorchvisionRoot,
    "text": Text,
}
