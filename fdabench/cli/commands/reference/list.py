"""`fdabench list`: prints the names that a suite may use, with what the components declare about themselves."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from fdabench.cli.console import AS_TABLE, print_note, print_table
from fdabench.cli.constants import CONSTANTS
from fdabench.formatting import DASH, format_count
from fdabench.hyperparameters import SEED_TAG, STEPS_TAG, THRESHOLD_TAG
from fdabench.registry.component_fields import ComponentField, component_fields, threshold_rules
from fdabench.registry.registry import Registry
from fdabench.suite.components.citations import reference_keys
from fdabench.suite.reader import read_registry
from fdabench.tables import Table, column


def print_list(what: str, suite: Path | None, form: str) -> None:
    """Print one row for each name. Formulas and the forms of keys that take more than a number or a word are on stderr.

    If there are plug-ins, installed or named by the suite, a column has the file that each name comes from.

    Args:
        what: a key of `_LISTS` or of `CONSTANTS`.
        suite: a suite file whose plug-ins are loaded, or None.
        form: one of `options.Format`.

    Raises:
        SuiteError: the suite or a plug-in is wrong.
    """
    registry = read_registry(suite)
    table = (
        CONSTANTS[what]() if what in CONSTANTS else _with_component_info(_LISTS[what](registry), registry, _role(what))
    )
    if form not in AS_TABLE:
        # a formula can be as wide as a terminal, so it is printed on its own line below the table
        table = _drop_columns(table)
    print_table(_with_plugins(table, registry, _role(what)) if registry.plugins else table, form)
    if form not in AS_TABLE:
        for note in [*_formulas(registry, what), *_notes(registry, what)]:
            print_note(note)


def _role(what: str) -> str:
    """The field of the registry that a list is about."""
    return "model_sources" if what == "sources" else what


def _with_component_info(table: Table, registry: Registry, role: str) -> Table:
    """Add columns for the `ComponentInfo` of each component. Output for programs keeps columns that are empty."""
    infos = [registry.info(role, name) for name, *_ in table.rows]
    records = [
        {
            **record,
            "display_name": info.name or None,
            "memory_vectors": info.memory_vectors,
            "cites": reference_keys(info),
            "formula": info.formula or None,
        }
        for record, info in zip(table.records, infos, strict=True)
    ]
    more = (
        column("display_name", "display name", write=lambda name: name or DASH),
        column("memory_vectors", "memory", write=_format_memory),
        column("cites", write=lambda keys: ", ".join(keys) or DASH),
        column("formula", write=lambda formula: formula or ""),
    )
    return Table(records, [*table.columns, *more])


def _format_memory(vectors: float) -> str:
    """Format memory as a multiple of D, the number of parameters: `1.75 D`."""
    return f"{vectors:g} D" if vectors else DASH


def _drop_columns(table: Table) -> Table:
    """Remove the columns for display names and formulas, and every column that is empty in all rows."""
    left_out = ("display_name", "formula")
    columns = [
        column for i, column in enumerate(table.columns) if column.key not in left_out and _has_content(table, i)
    ]
    return Table(table.records, columns)


def _has_content(table: Table, column: int) -> bool:
    return any(row[column] not in ("", DASH) for row in table.rows)


def _formulas(registry: Registry, what: str) -> Sequence[str]:
    names: Mapping[str, object] = {} if what in CONSTANTS else getattr(registry, _role(what))
    infos = {name: registry.info(_role(what), name) for name in names}
    return [f"{name} ({info.name or name}): {info.formula}" for name, info in infos.items() if info.formula]


def _with_plugins(table: Table, registry: Registry, what: str) -> Table:
    files = [_plugin(registry, what, name) for name, *_ in table.rows]
    records = [{**record, "plug-in": file or None} for record, file in zip(table.records, files, strict=True)]
    return Table(records, [*table.columns, column("plug-in", write=lambda file: file or "")])


def _plugin(registry: Registry, what: str, name: str) -> str:
    plugin = registry.find_plugin(what, name)
    return "" if plugin is None else plugin.origin.path.as_posix()


def _components(role: str) -> Callable[[Registry], Table]:
    def make_table(registry: Registry) -> Table:
        kinds: Mapping[str, type] = getattr(registry, role)
        records = [
            {"kind": kind, "keys": _keys(cls, registry), "about": _first_sentence(cls)} for kind, cls in kinds.items()
        ]
        keys = column("keys", write=lambda fields: ", ".join(fields) or DASH)
        return Table(records, (column("kind"), keys, column("about", "what it does")))

    return make_table


def _sources(registry: Registry) -> Table:
    """The kinds of the table `model` of a workload, with what pip has to install for them."""
    table = _components("model_sources")(registry)
    records = [
        {**record, "install": source.extra or None}
        for record, source in zip(table.records, registry.model_sources.values(), strict=True)
    ]
    return Table(records, [*table.columns, column("install", write=lambda extra: extra or DASH)])


def _keys(cls: type, registry: Registry) -> list[str]:
    return [text for member in component_fields(cls, registry) if (text := _key(member))]


def _key(member: ComponentField) -> str:
    if member.has_tag(SEED_TAG):
        return ""
    if member.has_tag(STEPS_TAG):
        keys = " | ".join(member.duration_keys)
        return f"{keys} (optional)" if member.default is None else keys
    if member.required:
        return member.name
    if member.default in (None, ""):
        return f"{member.name} (optional)"
    default = member.default_kind or member.default
    return (
        f"{member.name} = {float(default):g}" if isinstance(default, float | Fraction) else f"{member.name} = {default}"
    )


def _first_sentence(cls: type) -> str:
    text = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
    return text.removesuffix(".")


def _notes(registry: Registry, what: str) -> Sequence[str]:
    """Return the forms in which the thresholds and durations of the components of this role can be given."""
    kinds: Mapping[str, type] = {} if what in (*CONSTANTS, "datasets", "models") else getattr(registry, _role(what))
    fields = [member for cls in kinds.values() for member in component_fields(cls, registry)]
    thresholds = dict.fromkeys(member.name for member in fields if member.has_tag(THRESHOLD_TAG))
    durations = dict.fromkeys(" | ".join(member.duration_keys) for member in fields if member.has_tag(STEPS_TAG))
    rules = ", ".join(f'"{name}" ({constant:g})' for name, constant in threshold_rules().items())
    return [
        *(
            f"{name}: a squared L2 norm, in one of three forms: a number, such as {name} = 1.0; a number for each "
            f"parameter of the model, such as {name} = {{ per_parameter = 3.89e-5 }}; a published rule per parameter: "
            f"{rules}"
            for name in thresholds
        ),
        *(f"{keys}: in local steps, or in passes over the data; give one" for keys in durations),
    ]


def _datasets(registry: Registry) -> Table:
    records = [
        {
            "name": name,
            "training_samples": data.train_samples,
            "shape": list(data.shape),
            "classes": data.classes,
            "about": data.description,
        }
        for name, data in registry.datasets.items()
    ]
    columns = (
        column("name"),
        column("training_samples", "training samples", format_count),
        column("shape", write=_shape),
        column("classes"),
        column("about"),
    )
    return Table(records, columns)


def _models(registry: Registry) -> Table:
    records = [
        {"name": name, "images": list(model.input_shape) if model.input_shape else None, "about": model.description}
        for name, model in registry.models.items()
    ]
    return Table(records, (column("name"), column("images", write=_shape), column("about")))


def _shape(sizes: Sequence[int] | None) -> str:
    """Format a shape: `1x28x28`; `any` for a model that accepts images of any shape."""
    return "x".join(map(str, sizes)) if sizes else "any"


_LISTS: Mapping[str, Callable[[Registry], Table]] = {
    "strategies": _components("strategies"),
    "monitors": _components("monitors"),
    "servers": _components("servers"),
    "triggers": _components("triggers"),
    "codecs": _components("codecs"),
    "corrections": _components("corrections"),
    "optimizers": _components("optimizers"),
    "schedules": _components("schedules"),
    "partitions": _components("partitions"),
    "datasets": _datasets,
    "formats": _components("formats"),
    "models": _models,
    "sources": _sources,
}
