"""One core of a Speck chip in integers, and the checks of its fields.

A core always works in this order: convolve the events it receives, integrate and fire, and send
its spikes to at most a few other cores, sum-pooled on the way. A linear layer is a
convolution whose kernel is as large as its input map.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array, Frozen, has_masked, read_only
from toolchain.chips.speck import faults
from toolchain.report import Brief, visible

__all__ = ["Array", "Destination", "MapShape", "SpeckCore", "kernel_words"]

MapShape: TypeAlias = tuple[int, int, int]
"""(channels, y, x) of a map of neurons or events."""

RANGES: dict[str, type[np.signedinteger[Any]]] = {
    "weight": np.int8,
    "bias": np.int16,
    "initial": np.int16,
}
"""The arrays of a core and the integer type of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A core that receives spikes, with the pooling and channel shift of the connection.

    Attributes:
        layer: name of the core.
        pooling: side of the square sum-pooling window, px, >= 1.
        feature_shift: number added to a spike's channel, >= 0, so that several sources use
            different channels of one destination.

    >>> print(Destination(layer="spk1", pooling=2))
    spk1 (sum 2)
    """

    layer: str
    pooling: int = 1
    feature_shift: int = 0

    def __post_init__(self) -> None:
        for name, least in (("pooling", 1), ("feature_shift", 0)):
            value = faults.as_int(getattr(self, name))
            if value is None or value < least:
                raise ValueError(
                    f"{name} to {self.layer!r} must be an integer >= {least}, "
                    f"got {getattr(self, name)!r}"
                )

    def __str__(self) -> str:
        """Return ``spk1 (sum 2, channels +1)``."""
        changes = []
        if self.pooling > 1:
            changes.append(f"sum {self.pooling}")
        if self.feature_shift > 0:
            changes.append(f"channels +{self.feature_shift}")
        layer = visible(self.layer, one_line=True)
        return f"{layer} ({', '.join(changes)})" if changes else layer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SpeckCore(Frozen, Brief):
    r"""One core: a convolution, its integrate-and-fire neurons and its destinations.

    Attributes:
        name: the user's name of the neuron layer; unique in a program.
        weight_name: the user's name of the convolution or linear layer.
        weight: int8, (outputs, inputs, kernel y, kernel x).
        bias: int16 (outputs,), added to every neuron at every tick of the slow clock; or None.
        stride, padding: (y, x), >= 1 and >= 0.
        input_shape: (channels, y, x) of the events that the core receives.
        threshold_high: a neuron fires at or above it; >= 1.
        threshold_low: the floor of the membrane; <= 0.
        return_to_zero: after a spike the membrane is 0 (True) or less by the threshold (False).
        initial: int16 membranes to start from, like ``output_shape``; None for zeros.
        destinations: the cores that the spikes are sent to.
        core: hardware id once placed.
        monitor: whether the spikes are read out of the chip.

    Raises:
        ValueError: with every fault of the core: values that are not integers or leave their
            range, shapes that disagree, a kernel larger than the padded input.

    >>> core = SpeckCore(name="spk", weight_name="conv", weight=np.ones((8, 2, 3, 3), int),
    ...                  padding=(1, 1), input_shape=(2, 16, 16), threshold_high=10)
    >>> core.output_shape, core.kernel_words, core.neuron_words, core.bias_words
    ((8, 16, 16), 256, 2048, 0)
    """

    name: str
    weight_name: str
    weight: Array
    bias: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    input_shape: tuple[int, int, int]
    threshold_high: int
    threshold_low: int = -32768
    return_to_zero: bool = False
    initial: Array | None = None
    destinations: tuple[Destination, ...] = ()
    core: int | None = None
    monitor: bool = False

    def __post_init__(self) -> None:
        found = [*_scalar_faults(self), *_array_faults(self)]
        if not found:
            _normalise(self)
            found = [*_shape_faults(self)]
        if found:
            raise ValueError(f"SpeckCore {self.name!r}: " + "; ".join(found))

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(channels, y, x) of the neurons, before any pooling."""
        height, width = (
            (size + 2 * pad - kernel) // step + 1
            for size, pad, kernel, step in zip(
                self.input_shape[1:], self.padding, self.weight.shape[2:], self.stride, strict=True
            )
        )
        return self.weight.shape[0], height, width

    def pooled_shape(self, pooling: int) -> tuple[int, int, int]:
        """Return (channels, y, x) after sum pooling; rows beyond the last window are dropped."""
        outputs, height, width = self.output_shape
        return outputs, height // pooling, width // pooling

    @property
    def kernel_words(self) -> int:
        r"""Kernel memory, word: :math:`c\,2^{\lceil\log_2 k_y k_x\rceil + \lceil\log_2 f\rceil}`.

        A word has 8 bits, with c input and f output channels.

        Source: sinabs documentation, "Speck: memory constraints"; Speck Dev Kit Datasheet.
        """
        return kernel_words(self.weight.shape)

    @property
    def neuron_words(self) -> int:
        r"""Neuron memory, word: :math:`f\,2^{\lceil\log_2 H\rceil + \lceil\log_2 W\rceil}`.

        A word has 16 bits, with f channels on a map of H x W neurons.

        Source: sinabs documentation, "Speck: memory constraints"; Speck Dev Kit Datasheet.
        """
        outputs, height, width = self.output_shape
        return int(outputs << (_address_bits(height) + _address_bits(width)))

    @property
    def bias_words(self) -> int:
        """Bias memory, 16-bit words: one an output channel if there is a bias, even one of zeros.

        Source: sinabs documentation, "Speck: memory constraints"; Speck Dev Kit Datasheet.
        """
        return 0 if self.bias is None else int(self.bias.size)

    def __str__(self) -> str:
        """Return one stable line: arrays by dtype, shape and digest."""
        reset = "zero" if self.return_to_zero else "subtract"
        parts = [
            f"{self.weight_name} > {self.name}: "
            f"{faults.shape_text(self.input_shape)} -> {faults.shape_text(self.output_shape)}",
            f"weight {_digest(self.weight)}",
            f"bias {_digest(self.bias)}",
            f"stride {faults.shape_text(self.stride)} padding {faults.shape_text(self.padding)}",
            f"threshold {self.threshold_high} floor {self.threshold_low} reset {reset}",
            f"initial {_digest(self.initial)}",
            f"to {', '.join(map(str, self.destinations)) or '-'}",
            f"core {'-' if self.core is None else self.core}",
        ]
        if self.monitor:
            parts.append("monitored")
        return visible(", ".join(parts), one_line=True)


# ---- faults ----


def _scalar_faults(core: SpeckCore) -> Iterator[str]:
    """Yield the numbers of a core that are not integers or out of range."""
    for label, value, length, lowest in (
        ("stride", core.stride, 2, 1),
        ("padding", core.padding, 2, 0),
        ("input_shape", core.input_shape, 3, 1),
    ):
        ints = faults.as_ints(value, length)
        if ints is None or min(ints) < lowest:
            yield f"{label} must be {length} integers >= {lowest}, got {value!r}"
    high, low = faults.as_int(core.threshold_high), faults.as_int(core.threshold_low)
    if high is None or not 1 <= high < 2**31:
        yield f"threshold_high must be an integer >= 1, got {core.threshold_high!r}"
    if low is None or not -(2**31) <= low <= 0:
        yield f"threshold_low must be an integer <= 0, got {core.threshold_low!r}"
    index = 0 if core.core is None else faults.as_int(core.core)
    if index is None or index < 0:
        yield f"core must be an integer >= 0 or None, got {core.core!r}"


def _array_faults(core: SpeckCore) -> Iterator[str]:
    """Yield the arrays of a core that are not integers or out of range."""
    for part, dtype in RANGES.items():
        value = getattr(core, part)
        if value is None and part != "weight":
            continue
        array = np.asarray(value)
        if has_masked(value):
            yield f"{part} has masked values; give an array without a mask"
        elif array.dtype.kind not in "iu":
            yield f"{part} must hold integers, got {array.dtype}"
        elif array.size and not _within(array, dtype):
            limits = np.iinfo(dtype)
            yield (
                f"{part} must stay in {limits.min}..{limits.max}, got {array.min()}..{array.max()}"
            )
    shape = np.shape(core.weight)
    if len(shape) != 4 or 0 in shape:
        yield f"weight must have shape (outputs, inputs, y, x), got {shape}"


def _shape_faults(core: SpeckCore) -> Iterator[str]:
    """Yield the shapes of a core that disagree; requires a core without the faults above."""
    outputs, inputs = core.weight.shape[:2]
    if inputs != core.input_shape[0]:
        yield f"weight takes {inputs} input channels, input_shape has {core.input_shape[0]}"
    if core.bias is not None and core.bias.shape != (outputs,):
        yield f"bias must have shape ({outputs},), got {core.bias.shape}"
    if min(core.output_shape) < 1:
        yield (
            f"a {faults.shape_text(core.weight.shape[2:])} kernel does not fit on a "
            f"{faults.shape_text(core.input_shape[1:])} map padded by "
            f"{faults.shape_text(core.padding)}"
        )
    elif core.initial is not None and core.initial.shape != core.output_shape:
        yield f"initial must have shape {core.output_shape}, got {core.initial.shape}"


def _within(array: npt.NDArray[Any], dtype: type[np.signedinteger[Any]]) -> bool:
    limits = np.iinfo(dtype)
    return bool(array.min() >= limits.min and array.max() <= limits.max)


# ---- parts ----


def _normalise(core: SpeckCore) -> None:
    """Store read-only copies of the arrays in their declared type, and plain Python numbers."""
    for part, dtype in RANGES.items():
        if (value := getattr(core, part)) is not None:
            object.__setattr__(core, part, read_only(value, dtype))
    for part, length in (("stride", 2), ("padding", 2), ("input_shape", 3)):
        object.__setattr__(core, part, faults.as_ints(getattr(core, part), length))
    for part in ("threshold_high", "threshold_low"):
        object.__setattr__(core, part, int(getattr(core, part)))
    for part in ("return_to_zero", "monitor"):
        object.__setattr__(core, part, bool(getattr(core, part)))
    object.__setattr__(core, "core", None if core.core is None else int(core.core))
    object.__setattr__(core, "destinations", tuple(core.destinations))


def kernel_words(shape: tuple[int, ...]) -> int:
    """Return the 8-bit words of a kernel (outputs, inputs, y, x); see ``SpeckCore``."""
    outputs, inputs, height, width = shape
    return int(inputs << (_address_bits(height * width) + _address_bits(outputs)))


def _address_bits(count: int) -> int:
    """Return the address bits for ``count`` items: the logarithm to base 2, rounded up."""
    return (count - 1).bit_length()


def _digest(array: Array | None) -> str:
    if array is None:
        return "-"
    digest = hashlib.sha256(array.tobytes()).hexdigest()[:8]
    return f"{array.dtype}[{faults.shape_text(array.shape)}]:{digest}"
