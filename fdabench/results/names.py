"""Returns the names of strategies and partitions that the terminal and reports show."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping

from fdabench.cell_config import ComponentConfig, Scalar, TableValue
from fdabench.component_info import PART_ROLES, ComponentInfo
from fdabench.formatting import format_parameter

FindInfo = Callable[[str, str], ComponentInfo]
"""The description of a component, given its role (`strategies`, `monitors`, ...) and its kind."""

_DEFAULTS: Mapping[str, Mapping[str, Scalar]] = {
    "dirichlet": {"shares": "per-class", "min_samples": 1},
    "natural": {"workers": "group", "min_samples": 1},
}
"""Default values of partitions, which a name omits."""

_FINE_TUNED = re.compile(
    r"(?P<name>.+)-(?P<how>init|part|lora(?P<rank>\d+))(?P<sent>-sent)?-(?P<digest>[0-9a-f]{8})", re.ASCII
)
"""The name of a fine-tuned model in the configuration of a cell."""
_HOW = {"init": "from weights", "part": "partly trained"}


def strategy_family(strategy: ComponentConfig, info: FindInfo) -> str:
    """Return the name of a strategy in the literature, such as NaiveFDA, LinearFDA or FedAdam.

    It is the label or the name that the strategy declares, in which the display names of its monitor and server replace
    `{monitor}` and `{server}`. A strategy that declares neither is named by its kind. A monitor or server without a
    name is named by its kind with a capital letter.

    Args:
        strategy: the strategy of a cell.
        info: returns the description of a component, given its role and kind.
    """
    own = info("strategies", strategy.kind)
    names = {
        key: inner_info(component.kind, info).name or component.kind.capitalize()
        for key, component in strategy.components.items()
    }
    # A field that the strategy does not have is replaced by the empty string.
    return (own.label or own.name or strategy.kind).format_map(defaultdict(str, names))


def inner_info(kind: str, info: FindInfo) -> ComponentInfo:
    """Return the description of a component in a field of a strategy, such as a monitor or a server."""
    infos = (info(role, kind) for role in PART_ROLES)
    return next((info_of_part for info_of_part in infos if info_of_part != ComponentInfo()), ComponentInfo())


def model_titles(names: Collection[str]) -> dict[str, str]:
    """Return the title of each model. The hash of a fine-tuned model is left out if the others have different titles.

    Args:
        names: of all models of a suite, as in configurations of cells; `models.fine_tuning` makes those with a hash.

    >>> model_titles(["mlp", "gpt-nano-lora4-0635949d"])
    {'mlp': 'mlp', 'gpt-nano-lora4-0635949d': 'gpt-nano LoRA 4'}
    >>> model_titles(["gpt-nano-init-a8377048", "gpt-nano-init-3f2a90c1"])["gpt-nano-init-3f2a90c1"]
    'gpt-nano from weights 3f2a90c1'
    """
    parts = {name: _FINE_TUNED.fullmatch(name) for name in names}
    titles = {name: _fine_tuned_title(match) if match else name for name, match in parts.items()}
    counts = Counter(titles.values())
    return {
        name: f"{titles[name]} {match['digest']}" if match and counts[titles[name]] > 1 else titles[name]
        for name, match in parts.items()
    }


def _fine_tuned_title(parts: re.Match[str]) -> str:
    how = f"LoRA {parts['rank']}" if parts["rank"] else _HOW[parts["how"]]
    return f"{parts['name']} {how}{' (base sent)' if parts['sent'] else ''}"


def partition_name(table: Mapping[str, TableValue]) -> str:
    """Return the kind of a partition, and its values that differ from the defaults.

    The first value and strings are written without their key, other numbers with it.

    Args:
        table: the partition of a cell's configuration, including `kind`.

    >>> partition_name({"kind": "dirichlet", "alpha": 0.1, "shares": "per-worker"})
    'dirichlet(0.1, per-worker)'
    >>> partition_name({"kind": "natural", "workers": "group", "min_samples": 1})
    'natural'
    """
    kind = str(table["kind"])
    values = [(key, value) for key, value in table.items() if key != "kind"]
    defaults = _DEFAULTS.get(kind, {})
    texts = [
        format_parameter(value) if i == 0 or isinstance(value, str) else f"{key}={format_parameter(value)}"
        for i, (key, value) in enumerate(values)
        if key not in defaults or defaults[key] != value
    ]
    return f"{kind}({', '.join(texts)})" if texts else kind
