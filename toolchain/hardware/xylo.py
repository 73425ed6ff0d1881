"""A Xylo chip: one clocked core of hidden and output neurons."""

from __future__ import annotations

from typing import Annotated, Literal

from toolchain.hardware.chip import SpecBase
from toolchain.hardware.power import XyloPower
from toolchain.hardware.quantity import Quantity, SpecModel, counted_in, measured_in

__all__ = ["XyloChip", "XyloClock", "XyloLimits"]

Bits = Annotated[Quantity, counted_in("bit")]
Clock = Annotated[Quantity, measured_in("MHz")]
Neurons = Annotated[Quantity, counted_in("neuron")]
Spikes = Annotated[Quantity, counted_in("spike/step")]
Synapses = Annotated[Quantity, counted_in("synapse")]


class XyloLimits(SpecModel):
    """What fits on the chip; each number is the largest allowed.

    Attributes:
        input_channels: input channels, channel.
        hidden_neurons, output_neurons: neurons, neuron.
        hidden_synapses, output_synapses: synaptic states per neuron, synapse.
        input_expansion: how many hidden neurons the input reaches, from the first id on, neuron.
        output_expansion: how many hidden neurons reach the outputs, up to the last id, neuron.
        fan_out: recurrent targets of one hidden neuron, neuron.
        fan_out_memory: recurrent connections of the whole chip, entry. A connection that uses one
            synapse costs as much as one that uses two.
        alias_targets: aliases of one hidden neuron, neuron.
        input_spikes, hidden_spikes, output_spikes: spikes of one channel or neuron, spike/step.
        weight_width, bias_width, threshold_width, state_width: signed integers, bit.
            ``bias_width`` is None on a chip without biases.
        weight_shift_width, dash_width: unsigned integers, bit.
    """

    input_channels: Annotated[Quantity, counted_in("channel")]
    hidden_neurons: Neurons
    output_neurons: Neurons
    hidden_synapses: Synapses
    output_synapses: Synapses
    input_expansion: Neurons
    output_expansion: Neurons
    fan_out: Neurons
    fan_out_memory: Annotated[Quantity, counted_in("entry")]
    alias_targets: Neurons
    input_spikes: Spikes
    hidden_spikes: Spikes
    output_spikes: Spikes
    weight_width: Bits
    weight_shift_width: Bits
    dash_width: Bits
    threshold_width: Bits
    state_width: Bits
    bias_width: Bits | None = None


class XyloClock(SpecModel):
    """Main clock settings, MHz.

    Attributes:
        main_clock: default of the development kit.
        low_power_clock: the setting that vendor measurements use.
        min_clock, max_clock: ends of the range, None where unknown.
    """

    main_clock: Clock
    low_power_clock: Clock
    min_clock: Clock | None = None
    max_clock: Clock | None = None


class XyloChip(SpecBase):
    """One revision of the Xylo family.

    Attributes:
        integer_core: version of the integer dynamics; ``v1`` has no bias and adds saturations up
            in another order.
        sensor: what the chip's own front end listens to.
        hibernation: whether the core can sleep through steps without activity.
        limits, clock, power: see there.
    """

    family: Literal["xylo"]
    integer_core: Literal["v1", "v2"]
    sensor: str
    hibernation: bool
    limits: XyloLimits
    clock: XyloClock
    power: XyloPower
