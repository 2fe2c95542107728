"""Writes one small data set of images in every format that fdabench reads."""

import json
import struct
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from PIL import Image
from sklearn.datasets import load_digits


class Images(NamedTuple):
    """Images of 28 x 28 unsigned bytes, [N, 28, 28], and labels, [N], of both splits."""

    train_x: Any
    train_y: Any
    test_x: Any
    test_y: Any


def enlarged_digits(num_train: int = 300, num_test: int = 60) -> Images:
    """Digits of scikit-learn, each pixel three times as wide, with a border."""
    bunch = load_digits()
    x = np.kron(bunch.images * 15, np.ones((1, 3, 3))).astype(np.uint8)
    x = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    y = bunch.target.astype(np.int64)
    end = num_train + num_test
    return Images(x[:num_train], y[:num_train], x[num_train:end], y[num_train:end])


def png(image: Any) -> bytes:
    """The image as the content of a PNG file."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def write_npz(folder: Path, images: Images) -> str:
    x, y, test_x, test_y = images
    np.savez(folder / "images.npz", x_train=x, y_train=y, x_test=test_x, y_test=test_y)
    return '{ kind = "npz", alias = "mine", path = "images.npz" }'


def write_parquet(folder: Path, images: Images) -> str:
    for name, x, y in (("train", *images[:2]), ("test", *images[2:])):
        pq.write_table(pa.table({"image": [png(item) for item in x], "label": y}), folder / f"{name}.parquet")
    return '{ kind = "table", alias = "mine", path = "train.parquet", test = "test.parquet", input = "image" }'


def write_csv(folder: Path, images: Images) -> str:
    for name, x, y in (("train", *images[:2]), ("test", *images[2:])):
        pixels = {f"pixel{i}": column for i, column in enumerate(x.reshape(len(x), -1).T)}
        pa.csv.write_csv(pa.table({"label": y, **pixels}), folder / f"{name}.csv")
    columns = 'input = "pixel*", shape = "1x28x28", normalize = "bytes"'
    return f'{{ kind = "table", alias = "mine", path = "train.csv", test = "test.csv", {columns} }}'


def write_hf_disk(folder: Path, images: Images) -> str:
    """The layout of `DatasetDict.save_to_disk` of the library `datasets`."""
    root = folder / "hf"
    features = {
        "image": {"_type": "Image"},
        "label": {"names": [str(digit) for digit in range(10)], "_type": "ClassLabel"},
    }
    root.mkdir()
    (root / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    for name, x, y in (("train", *images[:2]), ("test", *images[2:])):
        split = root / name
        split.mkdir()
        (split / "dataset_info.json").write_text(json.dumps({"features": features}))
        (split / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
        pictures = pa.array([{"bytes": png(item), "path": None} for item in x])
        table = pa.table({"image": pictures, "label": y})
        file = str(split / "data-00000-of-00001.arrow")
        with pa.OSFile(file, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=100)
    return '{ kind = "hf-disk", alias = "mine", path = "hf" }'


def write_image_folder(folder: Path, images: Images) -> str:
    for name, x, y in (("train", *images[:2]), ("test", *images[2:])):
        for i, (image, label) in enumerate(zip(x, y, strict=True)):
            file = folder / "pictures" / name / str(label) / f"{i:05}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(image))
    return '{ kind = "image-folder", alias = "mine", path = "pictures" }'


def write_leaf(folder: Path, images: Images) -> str:
    for name, x, y in (("train", *images[:2]), ("test", *images[2:])):
        half = len(x) // 2
        parts = {"ann": (x[:half], y[:half]), "bob": (x[half:], y[half:])}
        data = {user: {"x": x.reshape(len(x), -1).tolist(), "y": y.tolist()} for user, (x, y) in parts.items()}
        file = folder / "leaf" / name / "all.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"users": list(data), "num_samples": [half, len(x) - half], "user_data": data}))
    return '{ kind = "leaf", alias = "mine", path = "leaf", shape = "1x28x28", normalize = "bytes" }'


def write_torchvision(folder: Path, images: Images) -> str:
    """The files of MNIST, as torchvision and the built-in data set `mnist` read them."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, x, y in (("train", *images[:2]), ("t10k", *images[2:])):
        (raw / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, *x.shape) + x.tobytes())
        labels = struct.pack(">II", 0x801, len(y)) + y.astype(np.uint8).tobytes()
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(labels)
    return '{ kind = "torchvision", name = "MNIST", alias = "mine", path = "." }'


ROUTES = {
    "npz": write_npz,
    "parquet": write_parquet,
    "csv": write_csv,
    "hf-disk": write_hf_disk,
    "image-folder": write_image_folder,
    "leaf": write_leaf,
    "torchvision": write_torchvision,
}
"""The functions that write the images in one format below a folder and return the table `dataset` to read them."""
