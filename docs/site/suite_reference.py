"""Writes the reference of suite files, in Markdown, from their JSON Schema."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
# bounds that only keep a mistyped number from filling the memory
_LARGEST_SHOWN = 1e5


def suite_reference(schema: Schema) -> str:
    """A section for each table of a suite, with a row for each of its keys.

    Args:
        schema: what `fdabench validate --schema` prints.
    """
    definitions = schema["$defs"]
    tables = [("The file", "suite", schema), *_tables(schema)]
    return "\n".join(_section(heading, anchor, table, definitions) for heading, anchor, table in tables)


def _tables(schema: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Heading, anchor and schema of each table, in the order in which the keys of the file name them.

    A component has the key that it is the value of in its heading, because kinds of several roles have the same name.
    """
    definitions = schema["$defs"]
    pending = [(key, node) for key, node in schema["properties"].items()]
    seen: set[str] = set()
    while pending:
        key, node = pending.pop(0)
        for name, table in _tables_within(node, definitions):
            anchor = _anchor(key, name, table)
            if anchor not in seen:
                seen.add(anchor)
                kind = _kind(table)
                yield f"{key} `{kind}`" if kind else f"The table `{key}`", anchor, table
                pending.extend(table["properties"].items())


def _tables_within(node: Any, definitions: Schema) -> Iterator[tuple[str, Schema]]:
    """The tables that the value of a key may be, each with its name among the definitions or an empty one."""
    if isinstance(node, list):
        for part in node:
            yield from _tables_within(part, definitions)
    elif isinstance(node, Mapping):
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            yield name, definitions[name]
        elif "properties" in node:
            yield "", node
        else:
            for part in node.values():
                yield from _tables_within(part, definitions)


def _kind(table: Schema) -> str:
    kind: str = table["properties"].get("kind", {}).get("const", "")
    return kind


def _anchor(key: str, name: str, table: Schema) -> str:
    """The anchor of a table: by its name among the definitions or, without one, by the key that it is the value of."""
    return f"table-{name or '-'.join(filter(None, (key, _kind(table))))}".lower()


def _link_text(table: Schema) -> str:
    return f"`{_kind(table)}`" if _kind(table) else "table"


def _section(heading: str, anchor: str, table: Schema, definitions: Schema) -> str:
    about = table.get("description", "").split("\n\n")[0].replace("\n", " ") if anchor != "suite" else ""
    rows = [
        f"| `{key}` | {value_text(key, node, definitions)} | {_default_text(node, key in table.get('required', ()))} "
        f"| {_prose(_cell(node.get('description', '')))} |"
        for key, node in table["properties"].items()
        if key != "kind"
    ]
    head = ["| key | value | default | meaning |", "|---|---|---|---|"]
    body = [*head, *rows] if rows else ["It has no keys of its own."]
    return "\n".join([f"({anchor})=", f"## {heading}", "", *([_prose(about), ""] if about else []), *body, ""])


def value_text(key: str, node: Schema, definitions: Schema) -> str:
    """What a key accepts, in words: `integer, ≥ 1`; tables are links to their sections.

    Args:
        key: the key, by which tables without a name of their own are linked.
        node: the schema of its value.
        definitions: the tables that the schema refers to, by their names.
    """
    return _cell(" or ".join(dict.fromkeys(_alternatives(key, _single_value(node), definitions))))


def _alternatives(key: str, node: Schema, definitions: Schema) -> Iterator[str]:
    for several in ("anyOf", "oneOf"):
        for part in node.get(several, ()):
            yield from _alternatives(key, part, definitions)
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        yield f"[{_link_text(definitions[name])}](#{_anchor(key, name, definitions[name])})"
    elif "properties" in node:
        yield f"[{_link_text(node)}](#{_anchor(key, '', node)})"
    elif "enum" in node:
        yield from (f"`{_toml(value)}`" for value in node["enum"])
    elif "const" in node:
        yield f"`{_toml(node['const'])}`"
    elif node.get("type") == "array":
        inside = " or ".join(dict.fromkeys(_alternatives(key, node.get("items", {}), definitions)))
        yield f"list of {inside}" if inside else "list"
    elif node.get("type") not in (None, "null"):
        yield ", ".join(
            [node["type"], *(f"{sign} {node[name]:g}" for name, sign in _BOUNDS.items() if _shown(node, name))]
        )


def _shown(node: Schema, bound: str) -> bool:
    return bound in node and abs(node[bound]) < _LARGEST_SHOWN


def _single_value(node: Schema) -> Schema:
    """The schema of one value of a key that also accepts a list of its values."""
    either = node.get("anyOf", ())
    if len(either) == 2 and either[1].get("type") == "array" and either[1].get("items") == either[0]:
        value: Schema = either[0]
        return value
    return node


def _default_text(node: Schema, required: bool) -> str:
    if required:
        return "required"
    value = node.get("default", _single_value(node).get("default"))
    return "" if value in (None, "", []) else f"`{_cell(_toml(value))}`"


def _toml(value: Any) -> str:
    """A value as a suite gives it."""
    if isinstance(value, Mapping):
        given = {key: each for key, each in value.items() if each not in (None, [])}
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in given.items()) + " }"
    return json.dumps(value)


def _prose(text: str) -> str:
    """Text of a docstring in which Markdown finds no emphasis, no link and no HTML."""
    pieces = text.split("`")
    for at in range(0, len(pieces), 2):
        for mark in "*_<[":
            pieces[at] = pieces[at].replace(mark, f"\\{mark}")
    return "`".join(pieces)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
