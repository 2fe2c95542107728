"""Converts columns of Arrow tables to arrays: numbers, strings, lists of numbers, and encoded images."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fdabench.datasets.formats.base import DataError, DataFault
from fdabench.datasets.formats.images import decode_image, stack_images
from fdabench.datasets.formats.samples import Array


def column_array(table: Any, name: str, key: str, location: str) -> Array:
    """Return one column as an array whose first axis is the rows.

    Lists become further axes, so all lists must have the same length. Images may be a column of bytes, or of structs
    with the field `bytes`, as the library `datasets` writes them.

    Args:
        table: a pyarrow table.
        name: the name of the column.
        key: the key of the table `dataset` that names the column, for messages.
        location: the file, for messages.

    Raises:
        DataError: a value is missing or cannot be converted.
    """
    try:
        return _to_array(table.column(name).combine_chunks())
    except ValueError as error:
        raise DataError([DataFault(key, f"{location}: column {name!r}: {error}")]) from error


def _to_array(array: Any) -> Array:
    if isinstance(array, pa.ChunkedArray):  # older versions of pyarrow return one from combine_chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if array.null_count:
        row = pc.index(array.is_null(), True).as_py()
        raise ValueError(f"{array.null_count} values are missing, the first in row {row} (from 0)")
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _to_array(array.dictionary_decode())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _lists(array)
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return _to_array(array.field("bytes"))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _images(array)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(array.to_pylist(), dtype=str)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        values: Array = array.to_numpy(zero_copy_only=False)
        return values
    if pa.types.is_decimal(kind):
        return _to_array(array.cast(pa.float64()))
    raise ValueError(f"values of the type {kind} are not supported; expected numbers, strings, lists or images")


def _lists(array: Any) -> Array:
    """Return lists of equal length as an array of shape [rows, length, ...]."""
    lengths = pc.unique(pc.list_value_length(array)).to_pylist()
    if len(lengths) != 1:
        raise ValueError(
            f"its lists have {min(lengths, default=0)} to {max(lengths, default=0)} values; expected one length"
        )
    inner = _to_array(array.flatten())
    return inner.reshape(len(array), lengths[0], *inner.shape[1:])


def _images(array: Any) -> Array:
    """Return encoded images as an array of shape [rows, H, W] or [rows, 3, H, W]."""
    images = []
    for row, content in enumerate(array.to_pylist()):
        try:
            images.append(decode_image(content))
        except ValueError as error:
            raise ValueError(f"row {row} (from 0): {error}") from error
    return stack_images(images, [f"row {row} (from 0)" for row in range(len(images))]) if images else np.empty(0)
