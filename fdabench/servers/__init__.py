"""Server optimizers: how the mean drift moves the global model. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.core.strategy import ServerOptimizer
from fdabench.servers.adagrad import Adagrad
from fdabench.servers.adam import KerasAdam, ReddiAdam
from fdabench.servers.average import Average
from fdabench.servers.dyn import DynServer
from fdabench.servers.momentum import Momentum
from fdabench.servers.nesterov import Nesterov
from fdabench.servers.slowmo import SlowMo
from fdabench.servers.yogi import Yogi

SERVERS: Mapping[str, type[ServerOptimizer]] = {
    "average": Average,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adam-reddi": ReddiAdam,
    "adam-keras": KerasAdam,
    "yogi": Yogi,
    "adagrad": Adagrad,
    "slowmo": SlowMo,
    "dyn": DynServer,
}
