"""Decodes PNG and JPEG images with pillow."""

import warnings
from io import BytesIO

import numpy as np
from PIL import Image

from fdabench.datasets.formats.samples import Array

FORMATS = ("PNG", "JPEG")
_MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}
"""Mode of an image -> the mode to which it is converted. Transparency is dropped."""


def decode_image(content: bytes) -> Array:
    """Decode an image.

    Args:
        content: the bytes of a PNG or JPEG file.

    Returns:
        The pixels, uint8 of shape [H, W] if the image is gray, else [3, H, W].

    Raises:
        ValueError: the bytes are not a PNG or JPEG image, are damaged, or have pixels of more than 8 bits.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pillow only warns about images so large that they may fill the memory
            with Image.open(BytesIO(content), formats=FORMATS) as image:
                mode = _MODES.get(image.mode, "")
                pixels = np.array(image.convert(mode)) if mode else np.empty(0)
    except Exception as error:  # pillow raises OSError, ValueError, SyntaxError, struct.error and others
        raise ValueError(f"it is not a PNG or JPEG image, or it is damaged: {error!s:.80}") from error
    if not mode:
        raise ValueError(f"its pixels have the mode {image.mode}; expected gray or RGB pixels of 8 bits")
    return pixels if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)


def stack_images(images: list[Array], names: list[str]) -> Array:
    """Stack images of one shape to [N, H, W] or [N, C, H, W].

    Args:
        images: the images, at least one.
        names: the names of the images, for messages.

    Raises:
        ValueError: an image has another shape than the first; the message names it.
    """
    for image, name in zip(images, names, strict=True):
        if image.shape != images[0].shape:
            first = f"{names[0]} has {list(images[0].shape)}"
            raise ValueError(f"{name} has the shape {list(image.shape)}, but {first}; resize the images to one shape")
    return np.stack(images)
