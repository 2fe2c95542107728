"""Every strategy with every monitor and every server that it takes, made from the registries and from `examples/`.

A strategy is found by its line in STRATEGIES, and an example because it is a plug-in. A strategy whose field has a new
meaning also needs a value in VALUES.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

from fdabench.core.strategy import Strategy
from fdabench.hyperparameters import SEED_TAG, STEPS_TAG, THRESHOLD_TAG, Share
from fdabench.registry.component_fields import ComponentField, component_fields
from fdabench.registry.plugin_loading import load_plugins, read_plugin_file
from fdabench.suite.components.use import check_component_usable

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
REGISTRY = load_plugins([read_plugin_file("examples", path) for path in EXAMPLES], check_component_usable)

VALUES = {STEPS_TAG.text: Fraction(5, 2), THRESHOLD_TAG.text: 0.06, SEED_TAG.text: 0}
"""By the meaning of a field: a period of two and a half steps, a threshold that the toy crosses at times, a seed."""
REQUIRED_VALUES = {"rate": 0.3, "first": 2, "mean": 2, "fragments": 2}
"""By name, of required fields without such a meaning. At the toy's learning rate QSR has rounds of two steps."""
SHARE = 0.25
"""Of the toy's parameters, where a codec sends a share of them: the default of 1 % would be one number."""


def _choices(member: ComponentField) -> Iterator[tuple[str, Any]]:
    if member.component_classes:
        if member.default is None:
            yield "", None
            return
        yield from ((kind, component(cls)) for kind, cls in member.component_classes.items())
        return
    if member.name == "most" and member.default is not None:
        yield "", 3  # ten rounds in the toy's 30 steps
        return
    values = [value for text, value in VALUES.items() if any(text == m.text for m in _meanings(member))]
    if not values and member.required:
        if member.name not in REQUIRED_VALUES:
            raise LookupError(f"VALUES and REQUIRED_VALUES have no value for the field {member.name}")
        values = [REQUIRED_VALUES[member.name]]
    yield "", values[0] if values else member.default


def _meanings(member: ComponentField) -> list[Any]:
    return [mark for mark in getattr(member.type_hint, "__metadata__", ()) if hasattr(mark, "text")]


def component(cls: type[Any]) -> Any:
    """A component with its defaults, and with values of VALUES where it has none."""
    members = component_fields(cls, REGISTRY)
    values = {member.name: next(_choices(member))[1] for member in members if member.required}
    return cls(**values | {member.name: SHARE for member in members if member.type_hint == Share})


def _is_crossed(kind: str, fields: Sequence[ComponentField], parts: Sequence[str]) -> bool:
    """Of the strategies that take any server, FedAvg and naive FDA have every one; the others two of them."""
    servers = [part for field, part in zip(fields, parts, strict=True) if field.component_classes == REGISTRY.servers]
    few = all(server in ("average", "adam-reddi") for server in servers)
    return few or kind == "fedavg" or (kind == "fda" and "naive" in parts)


def _every_combination() -> Iterator[tuple[str, Strategy]]:
    for kind, cls in REGISTRY.strategies.items():
        fields = component_fields(cls, REGISTRY)
        for chosen in product(*(list(_choices(field)) for field in fields)):
            if not _is_crossed(kind, fields, [part for part, _ in chosen]):
                continue
            name = "-".join([kind, *(kind_of_field for kind_of_field, _ in chosen if kind_of_field)])
            yield name, cls(**{field.name: value for field, (_, value) in zip(fields, chosen, strict=True)})


def _optional_parts() -> Iterator[tuple[str, Strategy]]:
    """Each codec and correction with a periodic and a state-triggered strategy, and one strategy with everything."""
    fedavg: Any = PLAIN_STRATEGIES["fedavg-average"]
    fda: Any = PLAIN_STRATEGIES["fda-linear-adam-reddi"]
    bf16 = REGISTRY.codecs["bf16"]()
    for kind, cls in REGISTRY.codecs.items():
        feedback = 1.0 if cls.needs_feedback else None
        yield f"fedavg+{kind}", replace(fedavg, codec=component(cls), feedback=feedback)
        yield f"fda-linear-adam-reddi+{kind}+feedback", replace(fda, codec=component(cls), feedback=0.9)
    for kind, cls in REGISTRY.corrections.items():
        yield f"fedavg+{kind}", replace(fedavg, correction=component(cls))
        yield f"fda+{kind}+bf16+feedback", replace(fda, correction=component(cls), codec=bf16, feedback=1.0)
    stages: Any = PLAIN_STRATEGIES["stages-stages-average"]
    parts = {"server": REGISTRY.servers["nesterov"](), "codec": component(REGISTRY.codecs["topk"])}
    scaffold = component(REGISTRY.corrections["scaffold"])
    streaming, int8 = REGISTRY.strategies["streaming-diloco"], component(REGISTRY.codecs["int8"])
    late: Any = streaming(Fraction(4), 2, delay=1, codec=int8, feedback=0.9)
    yield "streaming-diloco+delay+int8", late
    layerwise: Any = PLAIN_STRATEGIES["layerwise-fda"]
    yield "layerwise-fda+modules+int8", replace(layerwise, layers="modules", codec=int8, feedback=0.9)
    yield "stages+nesterov+topk+scaffold", replace(stages, **parts, feedback=0.9, correction=scaffold)


def _half_cross() -> Iterator[tuple[str, Strategy]]:
    """Half of a cross of two triggers, servers, codecs and corrections, in which any three values occur together."""
    levels = product(
        enumerate(("doubling", "local-condition")),
        enumerate(("nesterov", "yogi")),
        enumerate(("topk", "powersgd")),
        enumerate(("scaffold", "prox")),
    )
    roles = (REGISTRY.triggers, REGISTRY.servers, REGISTRY.codecs, REGISTRY.corrections)
    for chosen in levels:
        if sum(level for level, _ in chosen) % 2 == 0:
            kinds = [kind for _, kind in chosen]
            when, server, codec, correction = (component(role[kind]) for role, kind in zip(roles, kinds, strict=True))
            yield "+".join(["rounds", *kinds]), REGISTRY.strategies["rounds"](when, server, codec, 0.9, correction)


PLAIN_STRATEGIES: Mapping[str, Strategy] = dict(_every_combination())
ALL_STRATEGIES: Mapping[str, Strategy] = {**PLAIN_STRATEGIES, **dict(_optional_parts()), **dict(_half_cross())}
