"""The interface of networks on a device, and their batch sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from numpy.typing import NDArray

from engine.detect.cards import ModelCard

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["fp32", "fp16", "int8"]
Inputs = Mapping[str, NDArray[Any]]
"""Inputs of a network, by name."""


class Network(Protocol):
    """A network with its own memory for its largest batch. Running it allocates nothing."""

    @property
    def runtime(self) -> str:
        """Library, version and precision for the record of a case, for example `tensorrt 10.13 fp16`."""

    @property
    def details(self) -> Mapping[str, str]:
        """Other facts for the record of a case."""

    @property
    def sizes(self) -> Sequence[int]:
        """The supported batch sizes, ascending."""

    @property
    def pictures(self) -> Tensor:
        """(most, ...): the input memory, in the network's layout and type. The caller writes pictures into it."""

    def run(self, size: int) -> Mapping[str, Tensor]:
        """The outputs for the first `size` pictures; `size` is one of `sizes`. They are valid until the next call.

        The work is queued on the current stream. Raises ModelError.
        """

    def close(self) -> None:
        """Release the memory."""


def batch_sizes(most: int) -> list[int]:
    """The powers of two up to `most`, and `most` itself, ascending."""
    return sorted({*(2**step for step in range(most.bit_length()) if 2**step <= most), most})


def split_batches(rows: int, sizes: Sequence[int]) -> Iterator[tuple[slice, int]]:
    """Split `rows` pictures into runs. Yields the rows of each run and the smallest size that holds them."""
    for first in range(0, rows, sizes[-1]):
        part = slice(first, min(rows, first + sizes[-1]))
        yield part, next(size for size in sizes if size >= part.stop - part.start)


def picture_shape(card: ModelCard) -> tuple[int, int, int]:
    """Shape of one picture in the network's layout."""
    height, width = card.input.height_px, card.input.width_px
    return (3, height, width) if card.input.layout == "nchw" else (height, width, 3)
