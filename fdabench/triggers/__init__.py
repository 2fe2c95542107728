"""The built-in triggers of the strategy `rounds`. To add one, write a module and add a line to `TRIGGERS`."""

from collections.abc import Mapping

from fdabench.core.trigger import Trigger
from fdabench.triggers.adacomm import AdaComm
from fdabench.triggers.local_condition import LocalCondition
from fdabench.triggers.period import Period
from fdabench.triggers.qsr import QSR
from fdabench.triggers.stages import Doubling, Stages

TRIGGERS: Mapping[str, type[Trigger]] = {
    "period": Period,
    "qsr": QSR,
    "stages": Stages,
    "doubling": Doubling,
    "local-condition": LocalCondition,
    "adacomm": AdaComm,
}
