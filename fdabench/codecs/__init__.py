"""The built-in codecs: how a worker's message is packed. To add one, write a module and add a line to `CODECS`."""

from collections.abc import Mapping

from fdabench.codecs.bf16 import BF16
from fdabench.codecs.bits2 import Bits2
from fdabench.codecs.chunk_topk import ChunkTopK
from fdabench.codecs.int4 import Int4
from fdabench.codecs.int8 import Int8
from fdabench.codecs.powersgd import PowerSGD
from fdabench.codecs.qsgd import QSGD
from fdabench.codecs.randk import RandK
from fdabench.codecs.sign import Sign
from fdabench.codecs.topk import TopK
from fdabench.core.codec import Codec, LinearCodec

CODECS: Mapping[str, type[Codec] | type[LinearCodec]] = {
    "bf16": BF16,
    "int8": Int8,
    "int4": Int4,
    "bits2": Bits2,
    "qsgd": QSGD,
    "topk": TopK,
    "chunk-topk": ChunkTopK,
    "randk": RandK,
    "sign": Sign,
    "powersgd": PowerSGD,
}
