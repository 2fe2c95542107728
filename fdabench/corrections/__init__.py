"""The built-in corrections of gradients. To add one, write a module and add a line to `CORRECTIONS`."""

from collections.abc import Mapping

from fdabench.core.strategy import Correction
from fdabench.corrections.averaged import Averaged
from fdabench.corrections.dyn import Dyn
from fdabench.corrections.prox import Prox
from fdabench.corrections.scaffold import Scaffold

CORRECTIONS: Mapping[str, type[Correction]] = {
    "averaged": Averaged,
    "prox": Prox,
    "scaffold": Scaffold,
    "dyn": Dyn,
}
