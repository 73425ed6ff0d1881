"""What is loaded on a Xylo core: integers only, one array a register file.

A program is checked when it is built, every fault at once, against what the core's registers can
hold. Whether it fits one particular chip (how many neurons, how many entries of fan-out) is asked
by the rules of the family, so that a network that is too large can still be simulated.

Matrices are ``(pre, post)``, as the chip stores them, with the synapse of the receiving neuron
last. The neurons of a role are counted from 0: hidden ids ``0 .. Nhid-1``, output ids
``0 .. Nout-1``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

__all__ = ["Population", "XyloProgram"]

Int8: TypeAlias = npt.NDArray[np.int8]
Int16: TypeAlias = npt.NDArray[np.int16]

FORMAT = "xylo-program/1"
REQUIRED = (
    "weights_in",
    "weights_out",
    "dash_mem",
    "dash_syn",
    "dash_mem_out",
    "dash_syn_out",
    "threshold",
    "threshold_out",
)


@dataclass(frozen=True, slots=True)
class Register:
    """One array of the program: its axes, the least and the greatest value it holds.

    Source: the ranges are those of the int8, int16 and 4-bit fields of the Xylo register and
    memory maps (rockpool's documentation of the family); xylosim takes the same thresholds.
    """

    axes: str
    low: int
    high: int
    dtype: type[np.signedinteger[Any]]


WEIGHT = (-128, 127, np.int8)
DASH = (0, 15, np.int8)
WORD = (-32768, 32767, np.int16)
REGISTERS = {
    "weights_in": Register("inputs hidden synapses", *WEIGHT),
    "weights_rec": Register("hidden hidden synapses", *WEIGHT),
    "weights_out": Register("hidden outputs", *WEIGHT),
    "dash_mem": Register("hidden", *DASH),
    "dash_syn": Register("hidden", *DASH),
    "dash_syn_2": Register("hidden", *DASH),
    "dash_mem_out": Register("outputs", *DASH),
    "dash_syn_out": Register("outputs", *DASH),
    "threshold": Register("hidden", *WORD),
    "threshold_out": Register("outputs", *WORD),
    "bias": Register("hidden", *WORD),
    "bias_out": Register("outputs", *WORD),
}
# A shift of 16 or more leaves nothing of a 16-bit word. The chips' fields have 3 bits (0..7),
# which is for the rules to say.
SHIFTS = dict.fromkeys(("weight_shift_in", "weight_shift_rec", "weight_shift_out"), (0, 15))
CAPS = dict.fromkeys(("max_input_spikes", "max_hidden_spikes", "max_output_spikes"), (1, 127))
SPECIFICATION = (*REGISTERS, *SHIFTS, "aliases", "dt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The neurons that one layer of the user's network became.

    Attributes:
        name: the user's own layer name.
        role: ``"hidden"`` or ``"output"``.
        start, stop: half-open range of ids, counted within the role.
    """

    name: str
    role: Literal["hidden", "output"]
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class XyloProgram:
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
        max_input_spikes, max_hidden_spikes, max_output_spikes: spikes that one channel or neuron
            can carry in one step.
        populations: whose neurons these are; each neuron is in exactly one. None given: one
            ``"hidden"`` and one ``"output"``.
        input_name: the user's own name of the input.

    The arrays are copied and read-only.

    Raises:
        ValueError: a value that the registers cannot hold, arrays that do not belong together, a
            bias on core v1; the message lists every fault.

    Source: rockpool's documentation of the Xylo family (fields, widths) and the observed
    behaviour of xylosim 0.1.3.
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

    def __post_init__(self) -> None:
        """Checks every field, then freezes the arrays."""
        faults: list[str] = []
        arrays = {name: _integers(name, getattr(self, name), faults) for name in REGISTERS}
        if not faults:
            faults += _shape_faults(arrays)
        faults += _scalar_faults(self)
        if faults:
            raise _refusal(self.chip, faults)
        hidden = arrays["weights_in"].shape[1]
        outputs = arrays["weights_out"].shape[1]
        if not self.populations:
            object.__setattr__(self, "populations", _whole(hidden, outputs))
        aliases = _aliases(self.aliases, hidden, faults)
        faults += _population_faults(self.populations, hidden, outputs)
        if self.core == "v1" and (arrays["bias"].any() or arrays["bias_out"].any()):
            faults.append("bias: core v1 has no bias, every value must be 0")
        if faults:
            raise _refusal(self.chip, faults)
        for name, register in REGISTERS.items():
            # asarray of the same type would share the caller's memory
            array = np.array(arrays[name], dtype=register.dtype, order="C")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        for name in (*SHIFTS, *CAPS):
            object.__setattr__(self, name, int(getattr(self, name)))
        object.__setattr__(self, "aliases", aliases)

    @classmethod
    def from_specification(cls, chip: str = "xylo_a2", **spec: Any) -> XyloProgram:
        """The program of a specification dictionary, as mappers and quantizers hand it out.

        Args:
            chip: chip name or alias; gives the core and the spikes a step.
            **spec: ``weights_in (Nin, IEN[, S])`` for the first IEN hidden neurons,
                ``weights_out (OEN, Nout)`` from the last OEN hidden neurons, ``dash_mem``,
                ``dash_syn``, ``dash_mem_out``, ``dash_syn_out``, ``threshold``, ``threshold_out``
                (one value, or one a neuron). May be left out: ``weights_rec
                (Nhid, Nhid[, S])`` (no recurrence, Nhid = IEN), ``dash_syn_2`` (where there is one
                synapse), ``bias``, ``bias_out`` and ``weight_shift_in/_rec/_out`` (0),
                ``aliases`` (none), ``dt`` in s (none). ``mapped_graph`` is taken and ignored.

        A matrix without a synapse axis belongs to the first synapse. Values are integers, or
        floats without a fraction.

        Raises:
            TypeError: a key that is none of these.
            ValueError: a key is missing, or a value cannot be loaded; lists every fault.
        """
        # the loader of chip files is not needed to simulate a program that is there
        from toolchain.hardware import XyloChip, load_chip

        found = load_chip(chip)
        if not isinstance(found, XyloChip):
            raise ValueError(f"{found.name} is a {found.family} chip, this is a program for Xylo")
        limits = found.limits
        return assemble(
            spec,
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
        """Synaptic states a hidden neuron, 1 or 2."""
        return int(self.weights_in.shape[2])

    @property
    def has_bias(self) -> bool:
        """Whether any neuron has a bias; the chip then runs its bias stage for all of them."""
        return bool(self.bias.any() or self.bias_out.any())

    def fan_out(self) -> npt.NDArray[np.int64]:
        """``(hidden,)`` recurrent targets of each hidden neuron.

        A target that is reached on one synapse or on both is one target: the chip stores both
        weights in one entry.
        """
        return cast("npt.NDArray[np.int64]", self.weights_rec.any(axis=2).sum(axis=1))

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The program as named arrays and JSON-able metadata; :meth:`from_arrays` takes both."""
        arrays = {name: getattr(self, name) for name in REGISTERS}
        metadata: dict[str, Any] = {"format": FORMAT}
        metadata |= {f.name: getattr(self, f.name) for f in fields(self) if f.name not in arrays}
        metadata["aliases"] = [list(targets) for targets in self.aliases]
        metadata["populations"] = [
            {"name": p.name, "role": p.role, "start": p.start, "stop": p.stop}
            for p in self.populations
        ]
        return arrays, metadata

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.ArrayLike], metadata: Mapping[str, Any]
    ) -> XyloProgram:
        """The program that :meth:`to_arrays` took apart.

        Raises:
            ValueError: another format, or fields that are missing, unknown or wrong.
        """
        if metadata.get("format") != FORMAT:
            raise ValueError(f"format {metadata.get('format')!r} is not {FORMAT!r}")
        given = {**arrays, **metadata}
        del given["format"]
        names = {f.name for f in fields(cls)}
        if given.keys() != names:
            missing, unknown = sorted(names - given.keys()), sorted(given.keys() - names)
            raise ValueError(f"program has missing fields {missing}, unknown fields {unknown}")
        given["populations"] = tuple(Population(**p) for p in metadata["populations"])
        return cls(**given)

    def __str__(self) -> str:
        """Canonical text: one line a field, arrays as type, shape and digest."""
        lines = [f"XyloProgram {self.chip} core {self.core}"]
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                text = f"{value.dtype} {value.shape} {_digest(value.tobytes())}"
            elif f.name == "aliases":
                pairs = [(pre, post) for pre, targets in enumerate(value) for post in targets]
                text = f"{len(pairs)} {_digest(repr(pairs).encode())}"
            elif f.name == "populations":
                text = ", ".join(f"{p.name} {p.role} {p.start}:{p.stop}" for p in value)
            else:
                text = str(value)
            lines.append(f"  {f.name}: {text}")
        return "\n".join(lines)


def assemble(
    spec: Mapping[str, Any],
    *,
    chip: str,
    core: str,
    max_input_spikes: int,
    max_hidden_spikes: int,
    max_output_spikes: int,
) -> XyloProgram:
    """The program of a specification dictionary on a core with these limits.

    Raises: as :meth:`XyloProgram.from_specification`.
    """
    given = {key: value for key, value in spec.items() if key != "mapped_graph"}
    if unknown := [key for key in given if key not in SPECIFICATION]:
        raise TypeError(
            f"unknown keys {', '.join(sorted(unknown))}; a Xylo specification has "
            f"{', '.join(SPECIFICATION)}"
        )
    faults = [f"{key}: missing" for key in REQUIRED if given.get(key) is None]
    matrices = {
        name: _matrix(name, given.get(name), faults)
        for name in ("weights_in", "weights_rec", "weights_out")
    }
    weights_in, weights_rec, weights_out = matrices.values()
    if weights_in is None or weights_out is None or faults:
        raise _refusal(chip, faults)
    hidden = weights_in.shape[1] if weights_rec is None else weights_rec.shape[0]
    synapses = max(m.shape[2] for m in (weights_in, weights_rec) if m is not None)
    if synapses == 2 and given.get("dash_syn_2") is None:
        faults.append("dash_syn_2: missing, the weights have two synapses")
    for name, length in (
        ("weights_in", weights_in.shape[1]),
        ("weights_out", weights_out.shape[0]),
    ):
        if length > hidden:
            faults.append(f"{name}: reaches {length} hidden neurons, the network has {hidden}")
    if faults:
        raise _refusal(chip, faults)
    if weights_rec is None:
        weights_rec = np.zeros((hidden, hidden, synapses), np.int8)
    spare = hidden - weights_in.shape[1]
    weights_in = np.pad(weights_in, ((0, 0), (0, spare), (0, synapses - weights_in.shape[2])))
    weights_rec = np.pad(weights_rec, ((0, 0), (0, 0), (0, synapses - weights_rec.shape[2])))
    # the readout listens to the last hidden neurons, so the missing rows are the first
    weights_out = np.pad(weights_out, ((hidden - weights_out.shape[0], 0), (0, 0)))
    sizes = {"hidden": hidden, "outputs": weights_out.shape[1]}
    rest: dict[str, Any] = {
        name: _spread(given.get(name, 0), sizes[register.axes])
        for name, register in REGISTERS.items()
        if register.axes in sizes
    }
    rest |= {name: given.get(name, 0) for name in SHIFTS}
    return XyloProgram(
        chip=chip,
        core=cast("Literal['v1', 'v2']", core),
        dt=given.get("dt"),
        weights_in=weights_in,
        weights_rec=weights_rec,
        weights_out=weights_out,
        **rest,
        aliases=given["aliases"] if given.get("aliases") is not None else ((),) * hidden,
        max_input_spikes=max_input_spikes,
        max_hidden_spikes=max_hidden_spikes,
        max_output_spikes=max_output_spikes,
    )


def _refusal(chip: str, faults: Iterable[str]) -> ValueError:
    """Every fault under one headline."""
    return ValueError("\n  ".join([f"this is no {chip} program:", *faults]))


def _matrix(name: str, value: Any, faults: list[str]) -> npt.NDArray[Any] | None:
    """``value`` with its synapse axis, or None where it is not given or no matrix."""
    if value is None:
        return None
    array = np.asarray(value)
    if name == "weights_out":
        if array.ndim != 2:
            faults.append(f"{name}: must be (hidden, outputs), got shape {array.shape}")
        return array
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (2,)):
        faults.append(
            f"{name}: must be (pre, post) or (pre, post, 1 or 2), got shape {array.shape}"
        )
        return None
    if name == "weights_rec" and array.shape[0] != array.shape[1]:
        faults.append(f"{name}: must have as many rows as columns, got shape {array.shape}")
    return array if array.ndim == 3 else array[:, :, None]


def _spread(value: Any, length: int) -> npt.NDArray[Any]:
    """One value for all neurons, or ``value`` as it is; the program checks its length."""
    array = np.asarray(0 if value is None else value)
    return np.broadcast_to(array, (length,)) if array.ndim == 0 or array.shape == (1,) else array


def _integers(name: str, value: Any, faults: list[str]) -> npt.NDArray[Any]:
    """``value`` as an array within its register's range, or the fault that it is not."""
    register = REGISTERS[name]
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        faults.append(f"{name}: must hold integers, got {array.dtype}")
        return array
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (np.trunc(array) == array)
        if not whole.all():
            faults.append(f"{name}: must hold whole numbers, got {array[~whole][0]:g}")
            return array
    if array.size and (array.min() < register.low or array.max() > register.high):
        faults.append(
            f"{name}: must lie in {register.low}..{register.high}, "
            f"got {array.min():g}..{array.max():g}"
        )
    return array


def _shape_faults(arrays: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """What does not belong together; sizes are those of ``weights_in`` and ``weights_out``."""
    first, last = arrays["weights_in"].shape, arrays["weights_out"].shape
    if len(first) != 3 or first[2] not in (1, 2) or 0 in first:
        return [f"weights_in: must be (inputs, hidden, 1 or 2), none empty, got shape {first}"]
    if len(last) != 2 or 0 in last:
        return [f"weights_out: must be (hidden, outputs), none empty, got shape {last}"]
    sizes = dict(zip(("inputs", "hidden", "synapses"), first, strict=True), outputs=last[1])
    faults = []
    for name, register in REGISTERS.items():
        wanted = tuple(sizes[axis] for axis in register.axes.split())
        if arrays[name].shape != wanted:
            axes = ", ".join(register.axes.split())
            faults.append(f"{name}: must be ({axes}) = {wanted}, got shape {arrays[name].shape}")
    return faults


def _scalar_faults(program: XyloProgram) -> list[str]:
    """What is wrong with the fields that are no arrays."""
    faults = []
    for name, (low, high) in (SHIFTS | CAPS).items():
        value = getattr(program, name)
        if isinstance(value, bool) or not np.isscalar(value) or value not in range(low, high + 1):
            faults.append(f"{name}: must be a whole number in {low}..{high}, got {value!r}")
    if program.core not in ("v1", "v2"):
        faults.append(f"core: must be 'v1' or 'v2', got {program.core!r}")
    dt = program.dt
    if dt is not None and not (isinstance(dt, (int, float)) and 0 < dt < float("inf")):
        faults.append(f"dt: must be > 0 s or None, got {dt!r}")
    return faults


def _aliases(value: Any, hidden: int, faults: list[str]) -> tuple[tuple[int, ...], ...]:
    """One tuple of targets a hidden neuron."""
    if len(value) != hidden:
        faults.append(f"aliases: must have one entry a hidden neuron = {hidden}, got {len(value)}")
    for source, targets in enumerate(value):
        if wrong := [t for t in targets if t not in range(hidden)]:
            faults.append(
                f"aliases: neuron {source} names {wrong[0]!r}, hidden neurons are 0..{hidden - 1}"
            )
    return () if faults else tuple(tuple(int(t) for t in targets) for targets in value)


def _whole(hidden: int, outputs: int) -> tuple[Population, ...]:
    """All neurons of a role as one population."""
    return (
        Population(name="hidden", role="hidden", start=0, stop=hidden),
        Population(name="output", role="output", start=0, stop=outputs),
    )


def _population_faults(populations: Iterable[Population], hidden: int, outputs: int) -> list[str]:
    """Populations that share a name, overlap, or leave neurons out."""
    populations = tuple(populations)
    faults = []
    names = [p.name for p in populations]
    if len(set(names)) < len(names):
        faults.append(f"populations: names must differ, got {', '.join(names)}")
    for role, size in (("hidden", hidden), ("output", outputs)):
        spans = sorted((p.start, p.stop) for p in populations if p.role == role)
        ends = [0, *(stop for _, stop in spans)]
        starts = [*(start for start, _ in spans), size]
        if starts != ends or any(stop <= start for start, stop in spans):
            faults.append(
                f"populations: {role} neurons 0..{size - 1} must each be in one, got {spans}"
            )
    return faults


def _digest(data: bytes) -> str:
    """Short hash, enough to see that something changed."""
    return hashlib.sha256(data).hexdigest()[:12]
