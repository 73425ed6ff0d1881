"""The layout of a Xylo Audio 2 configuration file, as the vendor's library writes it.

Only the layout: which keys there are, of which type, and consistent sizes. Their meaning is in
``vendor_json``. Keys and their order are those of the one genuine file that could be found,
a ``to_json()`` of ``samna.xyloCore2.configuration.XyloConfiguration`` with 3 inputs, 5 hidden and
2 output neurons. Two forms do not occur in it: an alias that is set is assumed to be
``{"nullopt": false, "data": 3}``, as the serializer that wrote the file (cereal) writes an optional
number; a range of monitored neurons has no known form and is refused.

Matrices are stored by rows: ``dimensions`` are rows and columns, ``offsets`` the distances between
neighbours in a column and in a row.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from toolchain.archive.strict import refuse_constant, unique_object
from toolchain.chips.xylo.faults import REGISTERS
from toolchain.diagnostics import ArtifactError

__all__ = [
    "ConfigDocument",
    "MatrixPart",
    "NeuronPart",
    "is_configuration",
    "read_document",
    "read_tree",
    "refuse",
    "write_document",
]

MOST_CHARACTERS = 64 * 2**20
"""A full chip takes about 54 MB: two million recurrent weights, each on a line of its own."""
MOST_QUOTES = 40_000
MOST_BRACKETS = 5_000
"""More of these than a full chip has; they bound what the JSON parser builds."""
MOST_FAULTS = 20


class Part(BaseModel):
    """Part of the file: keys in camel case, no unknown ones, no coercion."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", defer_build=True, alias_generator=to_camel
    )


def _in(register: str) -> Any:
    return Field(ge=REGISTERS[register].low, le=REGISTERS[register].high)


Weight = Annotated[int, _in("weights_in")]
Decay = Annotated[int, _in("dash_mem")]
Word = Annotated[int, _in("threshold")]
Size = Annotated[int, Field(ge=1, le=2**16)]
RegisterNumber = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""A number of unknown width in a 32-bit register."""


class Sizes(Part):
    """Rows and columns of a matrix, or distances."""

    value0: Size
    value1: Size


class MatrixPart(Part):
    """A matrix stored by rows."""

    dimensions: Sizes
    offsets: Sizes
    values: Annotated[list[Weight], FailFast()]

    @model_validator(mode="after")
    def _sizes_agree(self) -> MatrixPart:
        rows, columns = self.shape
        if (self.offsets.value0, self.offsets.value1) != (columns, 1):
            raise ValueError(
                f"offsets must be ({columns}, 1) for a matrix by rows, "
                f"got ({self.offsets.value0}, {self.offsets.value1})"
            )
        if len(self.values) != rows * columns:
            raise ValueError(
                f"{rows} x {columns} = {rows * columns} values are needed, got {len(self.values)}"
            )
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.dimensions.value0, self.dimensions.value1


class AliasTarget(Part):
    """A hidden id, or none."""

    nullopt: bool
    data: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> AliasTarget:
        if self.nullopt == ("data" in self.model_fields_set) or (
            not self.nullopt and self.data is None
        ):
            raise ValueError('must be {"nullopt": true} or {"nullopt": false, "data": number}')
        return self


class Unmonitored(Part):
    """Monitored neurons: none."""

    nullopt: bool

    @model_validator(mode="before")
    @classmethod
    def _none_monitored(cls, value: Any) -> Any:
        if value != {"nullopt": True}:
            raise ValueError(
                'must be {"nullopt": true}: the format of monitored neurons is not known'
            )
        return value


class NeuronPart(Part):
    """An output neuron."""

    threshold: Word
    v_mem_decay: Decay
    i_syn_decay: Decay
    v_mem_bias: Word


class HiddenNeuronPart(NeuronPart):
    """A hidden neuron."""

    i_syn2_decay: Decay
    alias_target: AliasTarget


class InputPart(Part):
    """Weights from channels to hidden neurons."""

    weight_bit_shift: RegisterNumber
    weights: MatrixPart
    # the only key in this spelling
    syn2_weights: Annotated[MatrixPart, Field(alias="syn2_weights")]


class ReservoirPart(Part):
    """Hidden neurons and their recurrent weights."""

    weight_bit_shift: RegisterNumber
    weights: MatrixPart
    syn2_weights: MatrixPart
    neurons: Annotated[list[HiddenNeuronPart], FailFast()]
    aliasing: bool


class ReadoutPart(Part):
    """Output neurons and their weights from hidden neurons."""

    weight_bit_shift: RegisterNumber
    weights: MatrixPart
    neurons: Annotated[list[NeuronPart], FailFast()]


class Monitors(Part):
    """Four numbers of unknown meaning."""

    value0: RegisterNumber
    value1: RegisterNumber
    value2: RegisterNumber
    value3: RegisterNumber


class Debug(Part):
    """Switches of the chip that no network needs, and the clocks of its stages."""

    keep_interrupt: bool
    always_update_omp_stat: bool
    enable_rst_pad_pull: bool
    rst_pad_pull_select: bool
    ram_wake_up_settle_time: RegisterNumber
    ram_power_enable: bool
    monitors: Monitors
    isyn_clock_enable: bool
    isyn2_clock_enable: bool
    ra_clock_enable: bool
    bias_clock_enable: bool
    hm_clock_enable: bool
    input_write_select: RegisterNumber
    input_read_select: RegisterNumber
    input_select_enable: bool
    ram_manual_sleep_control: RegisterNumber
    ram_auto_sleep_control: RegisterNumber
    ram_light_sleep: bool
    ram_deep_sleep: bool
    debug_status_update_enable: bool
    monitor_debug_enable: bool
    pe_internal_select: RegisterNumber
    pe_fsm_select: RegisterNumber
    pe_engine_select: RegisterNumber
    pe_access_ram_fsm_select: RegisterNumber
    mem_shell_ram_arbiter_select: RegisterNumber
    read_timing_select: RegisterNumber
    write_timing_select: RegisterNumber
    monitor_neuron_v_mem: Unmonitored
    monitor_neuron_i_syn: Unmonitored
    monitor_neuron_i_syn2: Unmonitored
    monitor_neuron_spike: Unmonitored


class ConfigDocument(Part):
    """The whole configuration."""

    operation_mode: RegisterNumber
    synapse2_enable: bool
    bias_enable: bool
    direct_fetch_state_ram: bool
    enable_hibernation_mode: bool
    clear_network_state: bool
    time_resolution_wrap: RegisterNumber
    hibernation_mode_time_resolution_wrap: RegisterNumber
    input: InputPart
    reservoir: ReservoirPart
    readout: ReadoutPart
    debug: Debug


class File(Part):
    """The serializer's wrapper around the configuration."""

    value0: ConfigDocument


# ---- reading ----


def read_document(text: str) -> ConfigDocument:
    """Return the configuration in ``text``.

    Raises:
        ArtifactError: invalid text; the message lists faults with the path of their key.
    """
    return read_tree(_parsed(text))


def read_tree(data: Any) -> ConfigDocument:
    """Return the configuration in parsed JSON.

    Raises: as :func:`read_document`.
    """
    try:
        return _document(data)
    except ValidationError as error:
        details = islice(error.errors(include_url=False, include_input=True), MOST_FAULTS + 1)
        refuse([_fault(detail) for detail in details])


def is_configuration(data: Any) -> bool:
    """Return whether parsed JSON has the outer form of such a file."""
    inner = data.get("value0") if isinstance(data, dict) and len(data) == 1 else None
    return isinstance(inner, dict) and {"input", "reservoir", "readout"} <= inner.keys()


def refuse(faults: list[str]) -> NoReturn:
    """Raise an ArtifactError with the first of ``faults``."""
    shown = [_short(fault) for fault in faults[:MOST_FAULTS]]
    if len(faults) > MOST_FAULTS:
        shown.append("and more")
    raise ArtifactError("\n  ".join(["this is not a valid configuration of Xylo Audio 2:", *shown]))


def _document(data: Any) -> ConfigDocument:
    document = File.model_validate(data).value0
    if faults := list(_sizes(document)):
        refuse(faults)
    return document


def _parsed(text: str) -> Any:
    if len(text) > MOST_CHARACTERS:
        refuse([f"it has more than {MOST_CHARACTERS} characters"])
    if text.count('"') > MOST_QUOTES or text.count("{") + text.count("[") > MOST_BRACKETS:
        refuse(["it has more names or objects than a full chip"])
    try:
        return json.loads(text, object_pairs_hook=_plain_object, parse_constant=refuse_constant)
    except RecursionError:
        refuse(["it is nested too deeply"])
    except ValueError as fault:
        refuse([f"it is not JSON: {fault}"])


def _plain_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if strange := next((name for name, _ in pairs if not name.isascii()), None):
        raise ValueError(f"key {strange!a} is not plain text")
    return unique_object(pairs)


def _fault(detail: Any) -> str:
    location = detail["loc"]
    # the first key is the serializer's, the same for every fault
    where = _dotted(location[1:] if len(location) > 1 else location)
    match detail["type"]:
        case "missing":
            return f"{where}: is missing"
        case "extra_forbidden":
            return f"{where}: is not a key of the file"
        case "value_error":
            return f"{where}: {detail['ctx']['error']}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{where or 'the file'}: must be an object"
    need = detail["msg"].removeprefix("Input should be ")
    return f"{where}: must be {need}, got {reprlib.repr(detail['input'])}"


def _dotted(location: tuple[str | int, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{_short(part)}" for part in location)
    return "".join(parts).removeprefix(".")


def _short(text: str, most: int = 200) -> str:
    """Return printable text of bounded length; a file may contain anything."""
    plain = text.encode("ascii", "backslashreplace").decode()
    return plain if len(plain) <= most else f"{plain[:most]}..."


def _sizes(document: ConfigDocument) -> Iterator[str]:
    """Yield matrices whose size differs from the number of neurons."""
    entry, inner, last = document.input, document.reservoir, document.readout
    inputs, hidden, outputs = entry.weights.shape[0], len(inner.neurons), len(last.neurons)
    for where, matrix, wanted in (
        ("input.weights", entry.weights, (inputs, hidden)),
        ("input.syn2_weights", entry.syn2_weights, (inputs, hidden)),
        ("reservoir.weights", inner.weights, (hidden, hidden)),
        ("reservoir.syn2Weights", inner.syn2_weights, (hidden, hidden)),
        ("readout.weights", last.weights, (hidden, outputs)),
    ):
        if matrix.shape != wanted:
            yield (
                f"{where}.dimensions: must be {wanted} for {inputs} channels, {hidden} hidden and "
                f"{outputs} output neurons, got {matrix.shape}"
            )
    for n, neuron in enumerate(inner.neurons):
        target = neuron.alias_target.data
        if target is not None and target >= hidden:
            yield (
                f"reservoir.neurons[{n}].aliasTarget.data: hidden neurons are 0..{hidden - 1}, "
                f"got {target}"
            )


# ---- writing ----


def write_document(tree: dict[str, Any]) -> str:
    """Return the file of a configuration given as plain data; it can be read again.

    Raises:
        ArtifactError: as :func:`read_document`.
    """
    try:
        document = _document({"value0": tree})
    except ValidationError as error:
        refuse([_fault(detail) for detail in error.errors(include_url=False)])
    plain = document.model_dump(by_alias=True, exclude_none=True)
    return json.dumps({"value0": plain}, indent=4)
