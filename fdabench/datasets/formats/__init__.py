"""The data formats: how the data of a user is read from disk, by the `kind` of the table `dataset` of a workload.

To add a format, write a frozen dataclass as `DataFormat` describes it and add a line to `FORMATS`.
"""

from collections.abc import Mapping

from fdabench.datasets.formats.base import DataFormat
from fdabench.datasets.formats.npz import Npz
from fdabench.datasets.formats.text import Text

FORMATS: Mapping[str, type[DataFormat]] = {
    "npz": Npz,
    "text": Text,
}
