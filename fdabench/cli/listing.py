"""`fdabench list`: what a suite may name, from the components themselves."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from fdabench.catalogue.kinds import Catalogue
from fdabench.cli.console import AS_TABLE, Table, print_table, remark
from fdabench.cli.constants import CONSTANTS
from fdabench.component_info import ComponentInfo
from fdabench.fields import SEED, STEPS, THRESHOLD
from fdabench.report.text import DASH, count
from fdabench.suite.citations import reference_keys
from fdabench.suite.members import Member, members, threshold_rules
from fdabench.suite.reader import read_plugins


def print_list(what: str, suite: Path | None, form: str) -> None:
    """Where there are plug-ins, of installed packages or of the suite, also the file that each name comes from.

    Below the table, what its keys may be given as, where that is more than a number or a word.
    """
    catalogue = read_plugins(suite)
    table = CONSTANTS[what]() if what in CONSTANTS else _described(_LISTS[what](catalogue), catalogue, what)
    if form not in AS_TABLE:
        # a formula is as wide as a terminal, so it has a line of its own below the table
        table = _narrow(table)
    print_table(_with_plugins(table, catalogue, what) if catalogue.plugins else table, form)
    if form not in AS_TABLE:
        for note in [*_formulas(catalogue, what), *_notes(catalogue, what)]:
            remark(note)


def _described(table: Table, catalogue: Catalogue, role: str) -> Table:
    """The table with what each component declares about itself; programs read every column, also the empty ones."""
    infos = [catalogue.info(role, row[0]) for row in table.rows]
    cells = [
        (info.name or DASH, _amount(info), ", ".join(reference_keys(info)) or DASH, info.formula) for info in infos
    ]
    records = [
        {
            **record,
            "display_name": info.name or None,
            "memory_vectors": info.memory_vectors,
            "cites": reference_keys(info),
            "formula": info.formula or None,
        }
        for record, info in zip(table.machine, infos, strict=True)
    ]
    rows = [(*row, *more) for row, more in zip(table.rows, cells, strict=True)]
    return Table((*table.columns, "display name", "memory", "cites", "formula"), rows, records)


def _amount(info: ComponentInfo) -> str:
    """`1.75 D`: vectors of D numbers, D being the number of parameters."""
    return f"{info.memory_vectors:g} D" if info.memory_vectors else DASH


def _narrow(table: Table) -> Table:
    """Without display names and formulas, and without a column that is empty in every row."""
    left_out = ("display name", "formula")
    columns = [i for i, name in enumerate(table.columns) if name not in left_out and _says_something(table, i)]
    return Table(
        tuple(table.columns[i] for i in columns), [tuple(row[i] for i in columns) for row in table.rows], table.records
    )


def _says_something(table: Table, column: int) -> bool:
    return any(row[column] not in ("", DASH) for row in table.rows)


def _formulas(catalogue: Catalogue, what: str) -> Sequence[str]:
    names: Mapping[str, Any] = {} if what in CONSTANTS else getattr(catalogue, what)
    infos = {name: catalogue.info(what, name) for name in names}
    return [f"{name} ({info.name or name}): {info.formula}" for name, info in infos.items() if info.formula]


def _with_plugins(table: Table, catalogue: Catalogue, what: str) -> Table:
    files = [_plugin(catalogue, what, row[0]) for row in table.rows]
    rows = [(*row, file) for row, file in zip(table.rows, files, strict=True)]
    records = [{**record, "plug-in": file or None} for record, file in zip(table.machine, files, strict=True)]
    return Table((*table.columns, "plug-in"), rows, records)


def _plugin(catalogue: Catalogue, what: str, name: str) -> str:
    plugin = catalogue.plugin_of(what, name)
    return "" if plugin is None else plugin.origin.path.as_posix()


def _components(role: str) -> Callable[[Catalogue], Table]:
    def listed(catalogue: Catalogue) -> Table:
        kinds: Mapping[str, type[Any]] = getattr(catalogue, role)
        keys = {kind: _keys(cls, catalogue) for kind, cls in kinds.items()}
        rows = [(kind, ", ".join(keys[kind]) or DASH, _first_sentence(cls)) for kind, cls in kinds.items()]
        records = [{"kind": kind, "keys": keys[kind], "about": _first_sentence(cls)} for kind, cls in kinds.items()]
        return Table(("kind", "keys", "what it does"), rows, records)

    return listed


def _keys(cls: type[Any], catalogue: Catalogue) -> list[str]:
    return [text for member in members(cls, catalogue) if (text := _key(member))]


def _key(member: Member) -> str:
    if member.means(SEED):
        return ""
    if member.means(STEPS):
        return " | ".join(member.span_keys)
    if member.required:
        return member.name
    default = member.default_kind or member.default
    return (
        f"{member.name} = {float(default):g}" if isinstance(default, float | Fraction) else f"{member.name} = {default}"
    )


def _first_sentence(cls: type[Any]) -> str:
    text = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
    return text.removesuffix(".")


def _notes(catalogue: Catalogue, what: str) -> Sequence[str]:
    """The forms of thresholds and spans that components of this role have."""
    kinds: Mapping[str, type[Any]] = {} if what in (*CONSTANTS, "datasets", "models") else getattr(catalogue, what)
    found = [member for cls in kinds.values() for member in members(cls, catalogue)]
    thresholds = dict.fromkeys(member.name for member in found if member.means(THRESHOLD))
    spans = dict.fromkeys(" | ".join(member.span_keys) for member in found if member.means(STEPS))
    rules = ", ".join(f'"{name}" ({constant:g})' for name, constant in threshold_rules().items())
    return [
        *(
            f"{name}: a squared L2 norm, in one of three forms: a number, as {name} = 1.0; a number for each parameter "
            f"of the model, as {name} = {{ per_parameter = 3.89e-5 }}; a published rule per parameter: {rules}"
            for name in thresholds
        ),
        *(f"{keys}: the length of a round, in local steps or in passes over the data; give one" for keys in spans),
    ]


def _datasets(catalogue: Catalogue) -> Table:
    rows = [
        (name, count(data.train_samples), "x".join(map(str, data.shape)), str(data.classes), data.about)
        for name, data in catalogue.datasets.items()
    ]
    records = [
        {
            "name": name,
            "training_samples": data.train_samples,
            "shape": list(data.shape),
            "classes": data.classes,
            "about": data.about,
        }
        for name, data in catalogue.datasets.items()
    ]
    return Table(("name", "training samples", "shape", "classes", "about"), rows, records)


def _models(catalogue: Catalogue) -> Table:
    rows = [
        (name, "x".join(map(str, model.takes)) if model.takes else "any", model.about)
        for name, model in catalogue.models.items()
    ]
    records = [
        {"name": name, "images": list(model.takes) if model.takes else None, "about": model.about}
        for name, model in catalogue.models.items()
    ]
    return Table(("name", "images", "about"), rows, records)


_LISTS: Mapping[str, Callable[[Catalogue], Table]] = {
    "strategies": _components("strategies"),
    "monitors": _components("monitors"),
    "servers": _components("servers"),
    "optimizers": _components("optimizers"),
    "partitions": _components("partitions"),
    "datasets": _datasets,
    "models": _models,
}
