"""Sessions of a Speck program, with the recordings that every family returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Options, SessionSettings
from toolchain.chips.speck.counts import of_run
from toolchain.chips.speck.options import speck_options
from toolchain.chips.speck.outputs import channel_step, flat_outputs, own_channels
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.events import EVENT
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.order import order_sensitivity
from toolchain.chips.speck.simulate.session import SpeckStream
from toolchain.chips.stream_session import StreamSession, check_names
from toolchain.runs import (
    InputSpikes,
    LayerRecord,
    OrderSpread,
    Recording,
    SparseSpikes,
    SpikeEvents,
)
from toolchain.runs.chip_state import LateArrays

__all__ = ["SpeckSession", "order_spread"]


class SpeckSession(StreamSession[SpeckStream]):
    """Implement the contract's ``ChipSession``: the integer cores, piece by piece."""

    def __init__(self, program: SpeckProgram, settings: SessionSettings) -> None:
        """Start from the initial membranes.

        Raises:
            ValueError: options that are no ``EventOptions``, or invalid settings.
        """
        options = settings.options
        if options is not None and not isinstance(options, EventOptions):
            raise ValueError(
                f"the simulation of Speck takes EventOptions, got {type(options).__name__}"
            )
        self._program = program
        self._named, self._event = isinstance(settings.record, Mapping), settings.timing == "event"
        plain = len(program.outputs) == 1 and program.readout is None
        self._only = program.outputs[0] if plain else None
        stream = SpeckStream(
            program,
            settings.batch,
            timing=settings.timing,
            record=settings.record,
            options=options,
            threads=settings.threads,
        )
        super().__init__(stream, settings)

    def run(self, spikes: InputSpikes, steps: int | None = None) -> Recording:
        """Implement ``ChipSession.run``.

        Several outputs are concatenated in ``spikes``; ``readout_table`` lists them.
        """
        program, piece = self._program, self._stream.run(spikes, steps)
        flat = self._flat(piece.spikes)
        recording = Recording(
            spikes=flat,
            outputs=self._by_output(flat),
            saturations=piece.saturations(),
            dt=program.dt,
            recorded={name: _own(program, name, kept) for name, kept in piece.recorded().items()}
            if self._named
            else {},
            first=piece.first,
            times=_times(program, piece.events()) if self._event else None,
        )
        if not self._everything:
            return recording
        result = piece.recording({})
        layers = {
            name: LayerRecord(
                spikes=own_channels(program, name, layer.spikes),
                v_mem=own_channels(program, name, layer.v_mem),
            )
            for name, layer in result.layers.items()
        }
        counted = None if program.dt is None else of_run(program, result)
        return replace(recording, layers=layers, activity=counted)

    def _flat(self, outputs: Mapping[str, Array]) -> Array:
        """Return the spikes of all outputs, (batch, steps, outputs)."""
        if self._only is None:
            return flat_outputs(self._program, outputs)
        spikes = outputs[self._only]
        return spikes.reshape(*spikes.shape[:2], prod(spikes.shape[2:]))

    def state(self) -> Mapping[str, Array]:
        """Implement ``ChipSession.state``: the membranes by core."""
        return LateArrays(self._stream.reader())

    def restore(self, state: Mapping[str, Array], steps: int) -> None:
        """Implement ``ChipSession.restore``."""
        check_names(state, [core.name for core in self._program.cores])
        self._stream.restore(state, steps)


def _own(
    program: SpeckProgram, name: str, kept: Mapping[str, Array | SparseSpikes]
) -> dict[str, Array | SparseSpikes]:
    """Return what was kept of a core without the unused channels between its own."""
    if program.readout is None or program.readout.layer != name:
        return dict(kept)
    found: dict[str, Array | SparseSpikes] = {}
    for kind, values in kept.items():
        own = own_channels(program, name, np.asarray(values))
        found[kind] = SparseSpikes.of(own) if isinstance(values, SparseSpikes) else own
    return found


def _times(program: SpeckProgram, sent: Mapping[str, tuple[Array, ...]]) -> SpikeEvents | None:
    """Return the output spikes of event timing, whose neurons are numbered as in the recording."""
    if not sent:
        return None
    parts = []
    for name, samples in sent.items():
        _, height, width = program[name].output_shape
        events = np.concatenate([np.zeros(0, EVENT), *samples])
        channel = events["p"].astype(np.int32) // channel_step(program, name)
        sizes = [len(each) for each in samples]
        parts.append(
            SpikeEvents(
                layers=(name,),
                sample=np.repeat(np.arange(len(samples), dtype=np.int32), sizes),
                layer=np.zeros(len(events), np.int32),
                neuron=(channel * height + events["y"]) * width + events["x"],
                t=events["t"].astype(np.int64),
            )
        )
    return SpikeEvents.join(parts)


def order_spread(
    program: SpeckProgram, spikes: InputSpikes, options: Options
) -> OrderSpread | None:
    """Run event timing with simultaneous events in several orders; see ``order_sensitivity``.

    Of several outputs, the least reliable decision counts. None without permutations.
    """
    permutations = speck_options(options).permutations
    if not permutations:
        return None
    found = order_sensitivity(program, spikes, permutations=permutations)
    totals = {name: layer.sum(axis=1) for name, layer in found.layers.items()}
    wide = [name for name in program.outputs if found.outputs[name][0, 0].size > 1]
    return OrderSpread(
        orders=permutations + 1,
        fewest={name: int(total.min()) for name, total in totals.items()},
        most={name: int(total.max()) for name, total in totals.items()},
        decisions=min((float(found.decisions(name).mean()) for name in wide), default=None),
    )
