"""Specification of a Xylo chip: one clocked core of hidden and output neurons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from toolchain.chips.synsense.spec import SynSenseChip
from toolchain.hardware.power import Power
from toolchain.hardware.quantity import (
    FrozenMap,
    NameTable,
    Quantity,
    SpecModel,
    counted_in,
    measured_in,
)

__all__ = ["XyloChip", "XyloClock", "XyloLimits", "XyloMemory", "XyloPower"]

BitWidth = Annotated[Quantity, counted_in("bit")]
ClockFrequency = Annotated[Quantity, measured_in("MHz")]
Neurons = Annotated[Quantity, counted_in("neuron")]
SpikesPerStep = Annotated[Quantity, counted_in("spike/step")]
Synapses = Annotated[Quantity, counted_in("synapse")]


class XyloLimits(SpecModel):
    """Limits of the chip; each number is the largest allowed.

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
        input_spike_width: of an input channel's field in the input registers, bit.
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
    input_spikes: SpikesPerStep
    hidden_spikes: SpikesPerStep
    output_spikes: SpikesPerStep
    weight_width: BitWidth
    weight_shift_width: BitWidth
    dash_width: BitWidth
    threshold_width: BitWidth
    state_width: BitWidth
    input_spike_width: BitWidth
    bias_width: BitWidth | None = None


class XyloMemory(SpecModel):
    """One memory of the chip.

    Attributes:
        holds: contents of its words, in order.
        words: its size, word.
        width: of a word, bit; a range where only the field in the vendor's files is known, None
            where that is unknown, too.
    """

    holds: str
    words: Annotated[Quantity, counted_in("word")]
    width: BitWidth | None = None


class XyloClock(SpecModel):
    """Main clock settings, MHz.

    Attributes:
        main_clock: default of the development kit.
        low_power_clock: the setting of the vendor's power measurements; None where there are none.
        divided_clock: clock before the divider: a whole ``w >= 0`` gives
            ``divided_clock / (2 (w + 1))``; None where the chip sets its clock in another way.
        min_clock, max_clock: ends of the range, None where unknown.
        sensor_clock: clock needed by the chip's own front end; None where there is none or unknown.
        real_time_step: the only duration of a timestep in real time, ms; None where it is free.
    """

    main_clock: ClockFrequency
    low_power_clock: ClockFrequency | None = None
    divided_clock: ClockFrequency | None = None
    min_clock: ClockFrequency | None = None
    max_clock: ClockFrequency | None = None
    sensor_clock: ClockFrequency | None = None
    real_time_step: Annotated[Quantity, measured_in("ms")] | None = None

    def makes(self, clock_hz: float) -> bool:
        """Return whether the main clock can be ``clock_hz``, Hz > 0, as far as is known."""
        if self.max_clock is not None and clock_hz > self.max_clock.to("Hz"):
            return False
        if self.min_clock is not None and clock_hz < self.min_clock.to("Hz"):
            return False
        if self.divided_clock is None:
            return True
        halves = self.divided_clock.to("Hz") / (2 * clock_hz)
        return round(halves) >= 1 and abs(halves - round(halves)) < 1e-9 * halves


class XyloPower(Power):
    """Power of a clocked chip. A ``cycle`` is the cost of a busy clock cycle beyond an idle one."""

    ACTIONS: ClassVar[Mapping[str, str]] = {
        "cycle": "cycle",
        "second_synapse": "synop",
        "input_event": "spike",
        "output_event": "spike",
    }


class XyloChip(SynSenseChip):
    """One revision of the Xylo family.

    Attributes:
        integer_core: version of the integer dynamics; ``v1`` has no bias and saturates sums in
            another order.
        sensor: sensor of the chip's own front end.
        hibernation: whether the core can sleep through steps without activity.
        memories: the chip's own name of each memory to its size; empty where no map is known.
        limits, clock, power: see their classes.
    """

    family: Literal["xylo"]
    integer_core: Literal["v1", "v2"]
    sensor: str
    hibernation: bool
    limits: XyloLimits
    memories: NameTable[XyloMemory] = Field(default_factory=lambda: FrozenMap({}))
    clock: XyloClock
    power: XyloPower

    @property
    def clocked(self) -> bool:
        """True: Xylo has a main clock."""
        return True

    def check_clock(self, clock_hz: Any) -> float:
        """Check also the two ends of the clock's range; see :meth:`SpecBase.check_clock`."""
        hz = super().check_clock(clock_hz)
        for end, side in ((self.clock.min_clock, "below"), (self.clock.max_clock, "above")):
            if end is None or not (hz < end.to("Hz") if side == "below" else hz > end.to("Hz")):
                continue
            units = (1e6, 1e3, 1e-6)  # given in MHz or kHz, or converted twice
            meant = next((hz * unit for unit in units if self.clock.makes(hz * unit)), None)
            hint = "" if meant is None else f"; did you mean {meant / 1e6:.9g}e6?"
            raise ValueError(
                f"clock_hz {hz:g} Hz is {side} the {end.value:g} {end.unit} of {self.name} "
                f"({self.cite(end)}){hint}"
            )
        return hz
