"""Program of a Xylo core: integers only, one array for each register file.

A program is checked when it is built, every fault at once, against the value ranges of the core's
registers. Whether it fits one particular chip (how many neurons, how many entries of fan-out) is
checked by the rules of the family, so that a network that is too large can still be simulated.

Matrices are ``(pre, post)``, as the chip stores them, with the synapse of the receiving neuron
last. The neurons of a role are counted from 0: hidden ids ``0 .. Nhid-1``, output ids
``0 .. Nout-1``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Frozen, read_only
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.faults import (
    CAPS,
    REGISTERS,
    SHIFTS,
    alias_targets,
    integers,
    refusal,
    scalar_faults,
    shape_faults,
)
from toolchain.chips.xylo.options import ReadoutState
from toolchain.chips.xylo.population import Population, population_faults, whole
from toolchain.chips.xylo.spec import XyloChip
from toolchain.chips.xylo.specification import program_fields
from toolchain.report import Brief, visible

__all__ = ["Population", "XyloProgram"]

Int8: TypeAlias = npt.NDArray[np.int8]
Int16: TypeAlias = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class XyloProgram(Frozen, Brief):
    """The integers of one Xylo core.

    Attributes:
        chip: canonical name of the chip, ``"xylo_a2"``.
        core: integer core, ``"v1"`` (SYNS61300) or ``"v2"`` (all later ones); they differ in bias,
            hibernation and in where the membrane saturates.
        dt: duration of a step, s, or None where the program has no real time.
        weights_in: ``(inputs, hidden, synapses)``, -128..127; 1 or 2 synapses a neuron.
        weights_rec: ``(hidden, hidden, synapses)`` as [pre, post], -128..127.
        weights_out: ``(hidden, outputs)``, -128..127.
        dash_mem, dash_syn, dash_syn_2: ``(hidden,)`` decays of the membrane and of the two
            currents, 0..15: a state loses ``1 / 2**dash`` of itself a step.
        dash_mem_out, dash_syn_out: ``(outputs,)``, 0..15.
        threshold, threshold_out: ``(hidden,)``, ``(outputs,)``, int16; at 0 or below a neuron
            fires as often as it may, every step.
        bias, bias_out: ``(hidden,)``, ``(outputs,)``, int16, added each step, not shifted.
        weight_shift_in, weight_shift_rec, weight_shift_out: left shift of every weight, 0..15
            (the chips' fields have 3 bits).
        aliases: for each hidden neuron the hidden neurons that receive its spikes as their own.
        max_input_spikes, max_hidden_spikes, max_output_spikes: most spikes of one channel or neuron
            in one step.
        populations: layers of the neurons; each neuron is in exactly one. None given: one
            ``"hidden"`` and one ``"output"``.
        input_name: the user's own name of the input.
        readout: what is read of the output neurons in each step: ``"spikes"``, ``"v_mem"`` or
            ``"i_syn"``.

    The arrays are copied and read-only.

    Raises:
        ValueError: a value outside its register's range, arrays of inconsistent sizes, a bias on
            core v1; the message lists every fault.

    Source: rockpool's documentation of the Xylo family (fields, widths) and the observed
    behaviour of xylosim 0.1.3.

    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> program.inputs, program.hidden, program.outputs
    (1, 2, 1)
    >>> program.weights_in.tolist()
    [[[100], [100]]]
    """

    chip: str
    core: Literal["v1", "v2"]
    dt: float | None
    weights_in: Int8
    weights_rec: Int8
    weights_out: Int8
    dash_mem: Int8
    dash_syn: Int8
    dash_syn_2: Int8
    dash_mem_out: Int8
    dash_syn_out: Int8
    threshold: Int16
    threshold_out: Int16
    bias: Int16
    bias_out: Int16
    weight_shift_in: int
    weight_shift_rec: int
    weight_shift_out: int
    aliases: tuple[tuple[int, ...], ...]
    max_input_spikes: int
    max_hidden_spikes: int
    max_output_spikes: int
    populations: tuple[Population, ...] = ()
    input_name: str = "input"
    readout: ReadoutState = "spikes"

    def __post_init__(self) -> None:
        """Check every field, then make the arrays read-only."""
        faults: list[str] = []
        arrays = {name: integers(name, getattr(self, name), faults) for name in REGISTERS}
        if not faults:
            faults += shape_faults(arrays)
        faults += scalar_faults({f.name: getattr(self, f.name) for f in fields(self)})
        if faults:
            raise refusal(self.chip, faults)
        hidden = arrays["weights_in"].shape[1]
        outputs = arrays["weights_out"].shape[1]
        if not self.populations:
            object.__setattr__(self, "populations", whole(hidden, outputs))
        aliases = alias_targets(self.aliases, hidden, faults)
        faults += population_faults(self.populations, hidden, outputs)
        if self.core == "v1" and (arrays["bias"].any() or arrays["bias_out"].any()):
            faults.append("bias: core v1 has no bias, every value must be 0")
        if faults:
            raise refusal(self.chip, faults)
        for name, register in REGISTERS.items():
            object.__setattr__(self, name, read_only(arrays[name], register.dtype))
        for name in (*SHIFTS, *CAPS):
            object.__setattr__(self, name, int(getattr(self, name)))
        object.__setattr__(self, "aliases", aliases)

    @classmethod
    def from_specification(cls, chip: str = "xylo_a2", **spec: Any) -> XyloProgram:
        """Return the program of a specification dictionary of rockpool's mappers and quantizers.

        Args:
            chip: chip name or alias; gives the core and the spikes per step.
            **spec: ``weights_in (Nin, IEN[, S])`` for the first IEN hidden neurons,
                ``weights_out (OEN, Nout)`` from the last OEN hidden neurons, ``dash_mem``,
                ``dash_syn``, ``dash_mem_out``, ``dash_syn_out``, ``threshold``, ``threshold_out``
                (one value, or one a neuron). May be left out: ``weights_rec
                (Nhid, Nhid[, S])`` (no recurrence, Nhid = IEN), ``dash_syn_2`` (where there is one
                synapse), ``bias``, ``bias_out`` and ``weight_shift_in/_rec/_out`` (0),
                ``aliases`` (none), ``dt`` in s (none), ``readout`` (``"spikes"``).
                ``mapped_graph`` is taken and ignored.

        A matrix without a synapse axis belongs to the first synapse. Values are integers, or
        floats without a fraction.

        Raises:
            TypeError: a key that is none of these.
            ValueError: a key is missing, or a value cannot be loaded; lists every fault.
        """
        found = load_chip(chip)
        if not isinstance(found, XyloChip):
            raise ValueError(f"{found.name} is a {found.family} chip, this is a program for Xylo")
        limits = found.limits
        return cls(
            **program_fields(spec, found.name),
            chip=found.name,
            core=found.integer_core,
            max_input_spikes=int(limits.input_spikes.value),
            max_hidden_spikes=int(limits.hidden_spikes.value),
            max_output_spikes=int(limits.output_spikes.value),
        )

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return int(self.weights_in.shape[0])

    @property
    def hidden(self) -> int:
        """Number of hidden neurons."""
        return int(self.weights_in.shape[1])

    @property
    def outputs(self) -> int:
        """Number of output neurons."""
        return int(self.weights_out.shape[1])

    @property
    def synapses(self) -> int:
        """Number of synaptic states of a hidden neuron, 1 or 2."""
        return int(self.weights_in.shape[2])

    @property
    def has_bias(self) -> bool:
        """True if any neuron has a bias; the chip then runs its bias stage for all of them."""
        return bool(self.bias.any() or self.bias_out.any())

    def fan_out(self) -> npt.NDArray[np.int64]:
        """Return the number of recurrent targets of each hidden neuron, ``(hidden,)``.

        A target that is reached on one synapse or on both is one target: the chip stores both
        weights in one entry.
        """
        return cast("npt.NDArray[np.int64]", self.weights_rec.any(axis=2).sum(axis=1))

    def __str__(self) -> str:
        """Return canonical text: one line a field, arrays as type, shape and digest."""
        lines = [f"XyloProgram {self.chip} core {self.core}"]
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "readout" and value == "spikes":
                continue
            if isinstance(value, np.ndarray):
                text = f"{value.dtype} {value.shape} {_digest(value.tobytes())}"
            elif f.name == "aliases":
                pairs = [(pre, post) for pre, targets in enumerate(value) for post in targets]
                text = f"{len(pairs)} {_digest(repr(pairs).encode())}"
            elif f.name == "populations":
                text = ", ".join(f"{p.name} {p.role} {p.start}:{p.stop}" for p in value)
            else:
                text = str(value)
            lines.append(visible(f"  {f.name}: {text}", one_line=True))
        return "\n".join(lines)


def _digest(data: bytes) -> str:
    """Return a short hash, enough to show that something changed."""
    return hashlib.sha256(data).hexdigest()[:12]
