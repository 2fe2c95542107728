"""The built-in triggers of the strategy `rounds`. To add one, write a module and add a line to `TRIGGERS`."""

from collections.abc import Mapping

from fdabench.core.trigger import Trigger
from fdabench.triggers.period import Period

TRIGGERS: Mapping[str, type[Trigger]] = {
    "period": Period,
}
