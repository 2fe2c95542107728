"""The built-in codecs: how a worker's message is packed. To add one, write a module and add a line to `CODECS`."""

from collections.abc import Mapping

from fdabench.codecs.bf16 import BF16
from fdabench.core.codec import Codec

CODECS: Mapping[str, type[Codec]] = {
    "bf16": BF16,
}
