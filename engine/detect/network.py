"""What runs a network on a device, and the sizes of batch that it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from numpy.typing import NDArray

from engine.detect.cards import ModelCard

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["fp32", "fp16", "int8"]
Inputs = Mapping[str, NDArray[Any]]
"""Of a network, by name."""


class Network(Protocol):
    """A network with memory of its own for its largest batch: nothing is allocated to run it."""

    @property
    def runtime(self) -> str:
        """Library, its version and the precision, for the record of a case: `tensorrt 10.13 fp16`."""

    @property
    def details(self) -> Mapping[str, str]:
        """What else the record of a case says of it."""

    @property
    def sizes(self) -> Sequence[int]:
        """The batch sizes that it runs, ascending."""

    @property
    def pictures(self) -> Tensor:
        """(most, ...): where the caller writes the pictures, in the network's layout and type."""

    def run(self, size: int) -> Mapping[str, Tensor]:
        """The outputs of the first `size` pictures, one of `sizes`; they hold until the next call.

        Queued on the current stream. Raises ModelError.
        """

    def close(self) -> None: ...


def ladder(most: int) -> list[int]:
    """The powers of two up to `most`, and `most`."""
    return sorted({*(2**step for step in range(most.bit_length()) if 2**step <= most), most})


def batches(rows: int, sizes: Sequence[int]) -> Iterator[tuple[slice, int]]:
    """How `rows` pictures are run: the rows of every run, and the smallest size that holds them."""
    for first in range(0, rows, sizes[-1]):
        part = slice(first, min(rows, first + sizes[-1]))
        yield part, next(size for size in sizes if size >= part.stop - part.start)


def picture_shape(card: ModelCard) -> tuple[int, int, int]:
    """Shape of one picture in the network's layout."""
    height, width = card.input.height_px, card.input.width_px
    return (3, height, width) if card.input.layout == "nchw" else (height, width, 3)
