"""Generates the JSON Schema of suite files, with which editors complete and check them.

`fdabench validate` prints it.
"""

from typing import Any

from pydantic import TypeAdapter

from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.suite.components.own import built_in_table, dataset_table, model_table
from fdabench.suite.key_descriptions import description_of
from fdabench.suite.schema import Exclude, Suite, strategy_table, workload_table
from fdabench.validation.schema_walk import JsonSchema


def suite_json_schema(registry: Registry = BUILT_IN) -> JsonSchema:
    """The JSON Schema of suite files, draft 2020-12.

    In workloads, strategies and excludes each key also accepts a list, because the grid crosses lists.

    Args:
        registry: the components whose names and tables the schema allows.
    """
    schema = Suite.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["properties"]["extends"] = {"type": "string", "description": "Another suite file, relative to this one."}
    # no key is required, because the file that this one extends may contain it
    del schema["required"]
    tables = {
        "workload": [TypeAdapter(workload_table(registry)).json_schema()],
        "strategy": [TypeAdapter(strategy_table(kind, registry)).json_schema() for kind in registry.strategies],
        "exclude": [TypeAdapter(Exclude).json_schema()],
    }
    _add_own_tables(tables["workload"][0], registry)
    for key, variants in tables.items():
        for variant in variants:
            schema.setdefault("$defs", {}).update(
                {name: _or_lists(table) for name, table in variant.pop("$defs", {}).items()}
            )
        schema["properties"][key]["items"] = {"anyOf": [_or_lists(variant) for variant in variants]}
    with_descriptions: JsonSchema = _described(schema)
    return with_descriptions


def _add_own_tables(workload: JsonSchema, registry: Registry) -> None:
    """Let `dataset` and `model` of a workload also be tables that describe a user's data or model, in place."""
    datasets = [dataset_table(kind, registry) for kind in registry.formats]
    models = [built_in_table(registry), *(model_table(kind, registry) for kind in registry.model_sources)]
    for key, kinds in (("dataset", datasets), ("model", models)):
        own = [TypeAdapter(kind).json_schema() for kind in kinds]
        for table in own:
            workload.setdefault("$defs", {}).update(table.pop("$defs", {}))
        workload["properties"][key] = {"anyOf": [workload["properties"][key], *map(_or_lists, own)]}


def _described(node: object) -> Any:
    """A copy of the schema in which every key of every table has a description, which editors display."""
    if isinstance(node, list):
        return [_described(part) for part in node]
    if not isinstance(node, dict):
        return node
    inside = {name: _described(part) for name, part in node.items()}
    if "properties" in node:
        table = (node.get("title", ""), node.get("description", ""))
        inside["properties"] = {
            name: {"description": description_of(name, *table), **_described(key)}
            for name, key in node["properties"].items()
        }
    return inside


def _or_lists(table: JsonSchema) -> JsonSchema:
    """A copy of the schema of a table in which each key except `kind` also accepts a list of its values."""
    if "properties" not in table:
        return table
    keys = {
        name: key if name == "kind" else {"anyOf": [key, {"type": "array", "items": key}]}
        for name, key in table["properties"].items()
    }
    return {**table, "properties": keys}
