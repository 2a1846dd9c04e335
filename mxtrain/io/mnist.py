"""`MNISTIter`: batches of images and labels from a pair of IDX files."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from mxtrain import nd
from mxtrain.errors import FileFormatError
from mxtrain.io.base import DataDesc
from mxtrain.io.idx import read_idx
from mxtrain.io.ndarray_iter import NDArrayIter, Rows
from mxtrain.nd import NDArray
from mxtrain.random import stream

__all__ = ["MNISTIter"]


class MNISTIter(NDArrayIter):
    """Grey images and their classes, from IDX files, plain or compressed with gzip.

    Images are float32 from 0 up to (not including) 1: bytes divided by 256, as in MXNet. They
    stay bytes in memory and are converted batch by batch. An incomplete last batch is dropped.

    Parameters
    ----------
    image, label : the files.
    batch_size : images per batch.
    shuffle : put the images in an order drawn once from `seed` and kept for all epochs, as
        MXNet does (its order for a seed is another one).
    flat : batches of shape (batch, height * width) instead of (batch, 1, height, width).
    seed : of the order.
    silent : leave out the log line that says what was read.
    num_parts, part_index : read only one of several equal parts, for training in parallel.
    data_name, label_name : names of the inputs.

    Raises FileFormatError for damaged files, or files that do not belong together.
    """

    def __init__(
        self,
        image: str | os.PathLike[str],
        label: str | os.PathLike[str],
        batch_size: int = 128,
        shuffle: bool = True,
        flat: bool = False,
        seed: int = 0,
        silent: bool = False,
        num_parts: int = 1,
        part_index: int = 0,
        data_name: str = "data",
        label_name: str = "softmax_label",
    ) -> None:
        if not 0 <= part_index < num_parts:
            raise ValueError(f"part_index must be 0 to {num_parts - 1}, got {part_index}")
        images, labels = _read_pair(image, label)
        size = len(images) // num_parts
        part = slice(part_index * size, (part_index + 1) * size)
        images, labels = images[part], labels[part]
        if shuffle:
            order = stream(seed, "shuffle").permutation(0, len(images))
            images, labels = images[order], labels[order]
        n, height, width = images.shape
        shaped = images.reshape((n, height * width) if flat else (n, 1, height, width))
        super().__init__(
            {data_name: nd.view(shaped)},
            {label_name: labels.astype(np.float32)},
            batch_size,
            last_batch_handle="discard",
        )
        if not silent:
            logging.info(
                "MNISTIter: %d images of %dx%d from %s, shuffle=%s",
                *(n, height, width, image, bool(shuffle)),
            )

    @property
    def provide_data(self) -> list[DataDesc]:
        """The description of the images."""
        return [DataDesc(d.name, d.shape, np.float32, d.layout) for d in super().provide_data]

    def _gather(self, array: NDArray, rows: Rows) -> NDArray:
        batch = super()._gather(array, rows)
        if batch.dtype != np.uint8:
            return batch
        return nd.view(np.multiply(batch, np.float32(1 / 256), dtype=np.float32))


def _read_pair(
    image: str | os.PathLike[str], label: str | os.PathLike[str]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    images, labels = read_idx(image), read_idx(label)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise FileFormatError(
            f"{image}: expected images, bytes of 3 axes, got {images.dtype} of shape {images.shape}"
        )
    if labels.ndim != 1:
        raise FileFormatError(f"{label}: expected labels, 1 axis, got shape {labels.shape}")
    if len(images) != len(labels):
        raise FileFormatError(
            f"{image} holds {len(images)} images but {label} holds {len(labels)} labels"
        )
    return images, labels
