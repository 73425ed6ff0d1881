"""Specification of a Speck or DynapCNN chip: asynchronous convolution cores of several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, NonNegativeInt

from toolchain.chips.synsense.spec import SynSenseChip
from toolchain.hardware.power import Power
from toolchain.hardware.quantity import AllowedValues, Quantity, SpecModel, counted_in, measured_in

__all__ = [
    "SpeckChip",
    "SpeckCoreGroup",
    "SpeckCoreSpec",
    "SpeckLimits",
    "SpeckPower",
    "SpeckSensorLimits",
    "SpeckTiming",
]

SpeckBits = Annotated[Quantity, counted_in("bit")]
Pixels = Annotated[Quantity, counted_in("px")]
PixelChoice = Annotated[AllowedValues, counted_in("px")]
WordCount = Annotated[Quantity, counted_in("word")]
BiasWordCount = Annotated[Quantity, counted_in("word", least=0)]
Time = Annotated[Quantity, measured_in("µs")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeckCoreSpec:
    """Memories and event order of one core.

    Attributes:
        id: the vendor's number of the core.
        kernel_memory, neuron_memory, bias_memory: size, word.
        deterministic: whether it handles events in the order they arrive.
    """

    id: int
    kernel_memory: Quantity
    neuron_memory: Quantity
    bias_memory: Quantity
    deterministic: bool


class SpeckCoreGroup(SpecModel):
    """Cores with the same numbers, written once in a chip file.

    Attributes:
        ids: the vendor's numbers of the cores.
        kernel_memory, neuron_memory, bias_memory: of each core, word; some have no biases.
        deterministic: whether each handles events in the order they arrive.
    """

    ids: tuple[NonNegativeInt, ...]
    kernel_memory: WordCount
    neuron_memory: WordCount
    bias_memory: BiasWordCount
    deterministic: bool


def _all_ids_once(groups: tuple[SpeckCoreGroup, ...]) -> tuple[SpeckCoreGroup, ...]:
    ids = sorted(number for group in groups for number in group.ids)
    if not ids or ids != list(range(len(ids))):
        raise ValueError(f"core ids must be 0, 1, 2, ... each once, got {ids}")
    return groups


class SpeckLimits(SpecModel):
    """Limits of one core; each number is the largest allowed.

    Attributes:
        input_size, output_size: side of the feature map before and after the convolution, px.
        channels: input or output channels, channel.
        kernel_size: side of the square kernel, px.
        strides: of the convolution, each axis on its own, px.
        padding: zeros on each side, each axis on its own, px.
        pooling: side of the square sum pooling in front of a destination, px.
        destinations: cores that one core sends to, core.
        weight_width, bias_width, state_width, threshold_width: signed integers, bit.
        threshold_low_max: the largest lower threshold that works, lsb.
        readout_classes: classes of the readout block, class; None where there is none.
        synop_rate: synaptic operations of one core, synop/s; None where unknown.
        event_rate: events that one core takes in, spike/s; None where unknown.
    """

    input_size: Pixels
    output_size: Pixels
    channels: Annotated[Quantity, counted_in("channel")]
    kernel_size: Pixels
    strides: PixelChoice
    padding: Pixels
    pooling: PixelChoice
    destinations: Annotated[Quantity, counted_in("core")]
    weight_width: SpeckBits
    bias_width: SpeckBits
    state_width: SpeckBits
    threshold_width: SpeckBits
    threshold_low_max: Annotated[Quantity, measured_in("lsb", signed=True)]
    readout_classes: Annotated[Quantity, counted_in("class")] | None = None
    synop_rate: Annotated[Quantity, measured_in("synop/s")] | None = None
    event_rate: Annotated[Quantity, measured_in("spike/s")] | None = None


class SpeckSensorLimits(SpecModel):
    """Limits of the event camera and its pre-processing.

    Attributes:
        size: side of the square of pixels, px.
        polarities: channels of its events, channel.
        pooling: divisors of addresses, each axis on its own, px.
        destinations: cores that it sends to, core.
        filter_size: largest side of the event filter's window, px.
        filter_time_width: of the event filter's unsigned threshold, bit.
    """

    size: Pixels
    polarities: Annotated[Quantity, counted_in("channel")]
    pooling: PixelChoice
    destinations: Annotated[Quantity, counted_in("core")]
    filter_size: Pixels
    filter_time_width: SpeckBits


class SpeckTiming(SpecModel):
    """Latency of one event through an idle chip.

    Attributes:
        first_layer: latency of one layer, µs.
        next_layer: additional latency of each further layer, µs.
    """

    first_layer: Time
    next_layer: Time


class SpeckPower(Power):
    """Power of an event-driven chip.

    A ``synop`` is one weight added to one membrane, with the memory access of both; a
    ``leak_update`` is one membrane changed by a tick of the slow clock.
    """

    ACTIONS: ClassVar[Mapping[str, str]] = {
        "synop": "synop",
        "leak_update": "neuron",
        "input_event": "spike",
        "dvs_event": "spike",
        "output_event": "spike",
    }


class SpeckChip(SynSenseChip):
    """One revision of the Speck family.

    Attributes:
        core_groups: the cores as written in the file; ``cores`` has them one by one.
        readout: whether the readout block can be used.
        kill_bits: whether the configuration has a bit per weight, bias and neuron that disables it.
        limits, power: limits of a core, and power of the chip.
        sensor: limits of the event camera; None if the chip has none or it is not documented.
        timing: latency of one event; None where unknown.
    """

    family: Literal["speck"]
    core_groups: Annotated[tuple[SpeckCoreGroup, ...], AfterValidator(_all_ids_once)]
    readout: bool
    kill_bits: bool
    limits: SpeckLimits
    sensor: SpeckSensorLimits | None = None
    power: SpeckPower
    timing: SpeckTiming | None = None

    @cached_property
    def cores(self) -> tuple[SpeckCoreSpec, ...]:
        """The cores in the order of their ids."""
        cores: list[SpeckCoreSpec] = []
        for group in self.core_groups:
            cores += (
                SpeckCoreSpec(
                    id=number,
                    kernel_memory=group.kernel_memory,
                    neuron_memory=group.neuron_memory,
                    bias_memory=group.bias_memory,
                    deterministic=group.deterministic,
                )
                for number in group.ids
            )
        return tuple(sorted(cores, key=lambda core: core.id))
