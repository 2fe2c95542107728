"""What a component declares about itself: its name, formula, references and memory, once, beside its code.

Strategies, monitors, servers, optimizers and partitions declare it as the class attribute `info`; data sets
(`datasets.base.Source`) and models (`models.base.Architecture`) as the field `info`. `fdabench list` and
`fdabench cite` read it from the code. `fdabench run` writes it into `suite.lock.toml`, so that reports need neither
torch nor a plug-in's file.

>>> from typing import ClassVar
>>> @dataclass(frozen=True)
... class Naive:
...     info: ClassVar[ComponentInfo] = ComponentInfo(
...         name="Naive", formula="H = mean ‖u‖²", references=("theologitis2025",)
...     )
>>> info_of(Naive).formula
'H = mean ‖u‖²'
>>> info_of(object()) == ComponentInfo()
True
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

PART_ROLES: Mapping[str, str] = {
    "monitors": "monitor",
    "servers": "server",
    "triggers": "trigger",
    "codecs": "codec",
    "corrections": "correction",
}
"""Roles of the components that a strategy is made of, and the word for one component of each role.

Labels, formulas, checkpoints and annotations treat them as parts of the strategy.
"""
STRATEGY_ROLES: Mapping[str, str] = {"strategies": "strategy", **PART_ROLES}
"""The role of strategies and `PART_ROLES`."""
MARKERS = "o^v<>sDdpPXhH8*"
"""Marker codes of matplotlib that have an inside, which tells the variants of a strategy apart."""

_ENTRY = re.compile(r"@\w+\s*\{\s*[^\s,{}]+\s*,")


@dataclass(frozen=True, kw_only=True)
class ComponentInfo:
    """The description of one component. No field of it changes a number; every field may be left out.

    Args:
        name: the display name, as the literature has it: `FedAvg`, `LeNet-5`. Default: the name in the registry.
        formula: one line of plain text with Unicode symbols; reports and `list` print it.
        references: what to cite. Each is a key of fdabench's bibliography (`suite/references.bib`) or, in a plug-in,
            a whole BibTeX entry that begins with `@`.
        memory_vectors: vectors of D numbers of 4 bytes that each worker's process holds for this component, D being the
            number of parameters. Not counted here: the state that servers' `init` and torch optimizers return, which
            fdabench measures, and the local states of a monitor.
        variant: which published form this is, where a method has several.
        preset: a short name of that form. A component `adam-keras` with the preset `keras` may also be given as
            `{ kind = "adam", preset = "keras" }`, and labels say `keras`.
        label: a strategy's name in labels and legends, where that depends on its components: in `{monitor}FDA`, the
            display name of the component in the field `monitor` takes the place of the braces. Default: `name`.
        group: a set of strategies that reports also compare among themselves, such as `FDA`.
        color: of this strategy, or of a strategy whose label names this monitor or server: `#rrggbb`. Default: chosen
            by the report.
        marker: likewise, one of `MARKERS`.
        sync_period: local steps in every round, where they are the same in all cells and no key of a suite sets them.
        is_reference: whether the other strategies are compared with this one where a suite names no reference.
        is_iid: whether a partition gives each worker independent samples of the whole training set; figures show it as
            the limit of Dirichlet partitions with an infinite alpha.

    Raises:
        ValueError: a field holds something that fdabench cannot print, draw or look up.
    """

    name: str = ""
    formula: str = ""
    references: tuple[str, ...] = ()
    memory_vectors: float = 0.0
    variant: str = ""
    preset: str = ""
    label: str = ""
    group: str = ""
    color: str = ""
    marker: str = ""
    sync_period: int | None = None
    is_reference: bool = False
    is_iid: bool = False

    def __post_init__(self) -> None:
        for field in ("name", "formula", "variant", "preset", "label", "group"):
            value = getattr(self, field)
            # these words are printed into lines of terminals, pages and TOML
            if not isinstance(value, str) or not value.isprintable():
                raise ValueError(f"{field}: expected one line of text, found {value!r:.80}")
        if re.search(r"[{}]", self.name):
            raise ValueError(f"name: {self.name!r:.80} has braces; only label may have them")
        if not isinstance(self.references, tuple) or not all(isinstance(text, str) for text in self.references):
            raise ValueError(f"references: expected a tuple of strings, found {self.references!r:.80}")
        for text in self.references:
            if not re.sub(r"[\n\t]", "", text).isprintable():
                raise ValueError(f"references: {text!r:.80} has control characters")
            if text.startswith("@") and (not _ENTRY.match(text) or text.count("{") != text.count("}")):
                raise ValueError(f"references: expected BibTeX as in @article{{key2025, ...}}, found {text!r:.80}")
        if type(self.memory_vectors) not in (int, float) or not 0 <= self.memory_vectors < math.inf:
            raise ValueError(f"memory_vectors: expected a number, at least 0, found {self.memory_vectors!r:.80}")
        if self.color and not re.fullmatch("#[0-9A-Fa-f]{6}", self.color):
            raise ValueError(f"color: expected #rrggbb, as in #009E73, found {self.color!r:.80}")
        if self.marker and (len(self.marker) != 1 or self.marker not in MARKERS):
            raise ValueError(f"marker: expected one of {' '.join(MARKERS)}, found {self.marker!r:.80}")
        if not isinstance(self.is_reference, bool) or not isinstance(self.is_iid, bool):
            raise ValueError("is_reference, is_iid: expected True or False")
        if self.sync_period is not None and (type(self.sync_period) is not int or self.sync_period < 1):
            raise ValueError(f"sync_period: expected a whole number of steps, found {self.sync_period!r:.80}")

    def as_table(self) -> dict[str, object]:
        """The fields that are not at their defaults, as TOML holds them."""
        table = {field.name: getattr(self, field.name) for field in fields(self)}
        table = {key: value for key, value in table.items() if value != getattr(_DEFAULT, key)}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> "ComponentInfo":
        """The inverse of `as_table`.

        Raises:
            TypeError: `table` has a key that is no field.
            ValueError: a value is not allowed.
        """
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        return cls(**values)


_DEFAULT: ComponentInfo = ComponentInfo()

Infos = Mapping[str, Mapping[str, ComponentInfo]]
"""Role (`strategies`, `monitors`, ...) -> name in the registry -> its description."""


def info_of(component: object) -> ComponentInfo:
    """The description that a class, a data set or a model declares itself; the default one if it declares none.

    A class does not inherit it: a subclass is another method, with another name and other references.
    """
    info = vars(component).get("info") if hasattr(component, "__dict__") else None
    return info if isinstance(info, ComponentInfo) else _DEFAULT
