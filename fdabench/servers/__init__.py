"""Server optimizers: how the mean drift moves the global model. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.core.strategy import ServerOptimizer
from fdabench.servers.adam import KerasAdam, ReddiAdam
from fdabench.servers.average import Average
from fdabench.servers.momentum import Momentum

SERVERS: Mapping[str, type[ServerOptimizer]] = {
    "average": Average,
    "momentum": Momentum,
    "adam-reddi": ReddiAdam,
    "adam-keras": KerasAdam,
}
