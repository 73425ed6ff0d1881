"""A network on a chip: what stands at the end of the road, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.chips.family import (
    Family,
    OrderSpread,
    Program,
    Resource,
    Timing,
    load_family,
    takes_events,
)
from toolchain.compare import Comparison, compare
from toolchain.diagnostics import Diagnostic
from toolchain.fidelity import Heard, heard
from toolchain.ir import Array, Graph
from toolchain.ir.interpret import interpret
from toolchain.ledger import Ledger
from toolchain.recording import Recording
from toolchain.spikes import Spikes, are_events, fitted

if TYPE_CHECKING:
    from toolchain.estimate import Activity, Estimate

__all__ = ["Deployment", "counts_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deployment:
    """A network on a chip.

    Attributes:
        chip: the chip's specification.
        graph: what the network computes, in floats, under the user's names.
        quantized: the same in the chip's layers and integers, before it is lowered.
        program: what is loaded, in integers; simulation, estimate and configuration all read it.
        diagnostics: warnings and remarks; errors never get this far.
        ledger: layer by layer, how far all this is what was trained, and where the network came
            from.
        calibration_activity: how busy it was on the calibration spikes; None without these or
            without dt.
    """

    chip: Any
    graph: Graph
    quantized: Graph
    program: Program
    diagnostics: tuple[Diagnostic, ...]
    ledger: Ledger
    calibration_activity: Activity | None = None

    @property
    def family(self) -> Family:
        """The chip family's face."""
        return load_family(self.chip.family)

    @property
    def placement(self) -> dict[str, str]:
        """The user's layer names to core or neuron ids."""
        return self.family.placement(self.program)

    @property
    def lag(self) -> int:
        """Timesteps by which the chip's output is later than the reference's."""
        return self.family.lag(self.quantized)

    def simulate(
        self,
        spikes: Spikes,
        *,
        record: bool = False,
        timing: Timing = "clocked",
    ) -> Recording:
        """What the chip computes, bit for bit, from a fresh state.

        Args:
            spikes: non-negative integer counts, (batch, time, *input shape). On Speck also event
                arrays, structured, with fields ``x, y, t, p`` (column, row, µs, channel), one or
                a list of them, one a sample: no raster is built of them, steps are of the
                deployment's dt and end with the last event.
            record: also keep spikes and states of every layer, and count saturations.
            timing: ``event`` is for chips that take events one by one.

        Returns:
            A Recording in integers, ``spikes`` (batch, time, outputs).

        Raises:
            ValueError: no such counts; says what was seen and what is wanted.
        """
        return self.family.simulate(
            self.program, self._for_chip(spikes), record=record, timing=timing
        )

    def reference(self, spikes: Spikes, *, record: bool = False) -> Recording:
        """What the trained network computes, in float64, in the shapes of the Graph.

        Of event arrays, the network gets the counts of each timestep.
        """
        counts = self._counts(spikes, self.graph)
        return _flat_output(interpret(self.graph, counts, record=record))

    def reference_quantized(self, spikes: Spikes, *, record: bool = False) -> Recording:
        """The quantized graph in float64: its integers, without the chip's integer arithmetic."""
        counts = self._counts(spikes, self.quantized)
        return _flat_output(interpret(self.quantized, counts, record=record))

    def compare(self, spikes: Spikes, *, permutations: int = 0) -> Comparison:
        """Where the chip leaves the trained network: all ways of computing it, side by side.

        The trained network, the quantized graph, the chip and, on Speck, the chip in event timing,
        layer by layer, the chip's lag undone.

        Args:
            spikes: as ``simulate`` takes them; best those that the quantizer has not heard.
            permutations: on Speck, in how many random orders simultaneous events are tried too.

        Raises:
            ValueError: no such spikes, or permutations on a chip that takes no single events.
        """
        counts, given = self._counts(spikes, self.graph), self._for_chip(spikes)
        runs = {
            "reference": self.reference(counts, record=True),
            "quantized": self.reference_quantized(counts, record=True),
        }
        for timing in self.family.TIMINGS:
            runs[timing] = self.simulate(given, record=True, timing=timing)
        return compare(
            self.chip.title,
            runs,
            outputs=self.quantized.outputs,
            lags=self.family.lags(self.quantized),
            lag=self.lag,
            orders=self._order_spread(given, permutations) if permutations else None,
        )

    def heard(self, spikes: Spikes) -> Heard:
        """What each layer makes of ``spikes``, on the chip and in the network as it came."""
        chip = partial(self.simulate, record=True)
        return heard(
            self.graph,
            self.quantized,
            self._counts(spikes, self.graph),
            reference=partial(self.reference, record=True),
            chip=chip,
            one_by_one=partial(chip, timing="event") if takes_events(self.family) else None,
            lags=self.family.lags(self.quantized),
        )

    def _order_spread(self, given: Spikes, permutations: int) -> OrderSpread:
        family = self.family
        if not takes_events(family):
            raise ValueError(f"{self.chip.name} is clocked: there is no order of events to permute")
        return family.order_spread(self.program, given, permutations)

    def _counts(self, spikes: Spikes, graph: Graph) -> Array:
        """``spikes`` as counts in the shape of that graph's input."""
        counts = counts_of(self.family, self.graph, spikes, "spikes")
        return counts.reshape(*counts.shape[:2], *graph.shape(graph.input))

    def _for_chip(self, spikes: Spikes) -> Spikes:
        """``spikes`` as the chip takes them: events as they are, counts in its input's shape."""
        if are_events(spikes) and takes_events(self.family):
            return spikes
        return self._counts(spikes, self.quantized)

    def estimate(
        self,
        spikes: Spikes | None = None,
        rates: Mapping[str, float] | None = None,
        clock_hz: float | None = None,
        *,
        steps: int | None = None,
        recording: Recording | None = None,
        activity: Activity | None = None,
        modes: Mapping[str, str] | None = None,
        overlay: str | Path | None = None,
    ) -> Estimate:
        """Power by rail, energy, latency, pace and synops, of spikes, rates or earlier counts.

        Nothing given, of the calibration spikes.

        Args:
            spikes: input spikes to count on, as ``simulate`` takes them.
            rates: mean rates in spike/s a neuron, by layer name, the input's included, together
                with ``steps``.
            activity: counts made earlier.
            clock_hz: main clock, Hz, on a chip that has one.
            steps: timesteps of one inference; taken from ``spikes`` where these are given.
            recording: what ``simulate(..., record=True)`` gave; nothing is simulated again.
            modes: setting by switch, ``{"configuration": "ram_open"}``; ``chip.power.switches`` of
                a chip has all. Where one is not said, the range spans those that were measured.
            overlay: file with constants of one's own; see ``toolchain.estimate.calibrate``.

        Raises:
            ValueError: several or none of these, or the deployment has no dt.
        """
        from toolchain.hardware import load_chip

        counted = self._activity_of(spikes, rates, steps, recording, activity)
        chip = self.chip if overlay is None else load_chip(self.chip.name, overlay=overlay)
        return self.family.cost(self.program, chip, counted, clock_hz, modes or {})

    def _activity_of(
        self,
        spikes: Spikes | None,
        rates: Mapping[str, float] | None,
        steps: int | None,
        recording: Recording | None,
        activity: Activity | None,
    ) -> Activity:
        given = [each for each in (spikes, rates, recording, activity) if each is not None]
        if len(given) > 1:
            raise ValueError("give only one of spikes, rates, recording and activity")
        if spikes is not None:
            return self.family.activity(self.program, self._for_chip(spikes))
        if rates is not None:
            if steps is None:
                raise ValueError("rates need steps, the timesteps of one inference")
            return self.family.activity_at(self.program, self._all_rates(rates), steps)
        if recording is not None:
            if recording.activity is None:
                raise ValueError("the recording has no counts: simulate with record=True and a dt")
            return recording.activity
        counted = activity or self.calibration_activity
        if counted is None:
            raise ValueError("give spikes or rates: there are no counts of calibration spikes")
        return counted

    def _all_rates(self, rates: Mapping[str, float]) -> Mapping[str, float]:
        names = [self.graph.input, *self.placement]
        if wrong := sorted(set(names) ^ set(rates)):
            raise ValueError(f"rates need {', '.join(names)}; missing or unknown: {wrong}")
        return rates

    def resources(self) -> tuple[Resource, ...]:
        """What each layer uses of each resource, with the limit."""
        return self.family.resources(self.program, self.chip)

    def config(self) -> dict[str, Any]:
        """The vendor's configuration as plain data."""
        return self.family.emit(self.program, self.chip)

    def to_samna(self) -> Any:
        """The vendor's live configuration object.

        Raises:
            VendorError: the vendor's library is absent or only its installer stub is there.
        """
        return self.family.to_samna(self.config(), self.chip)

    def save(self, folder: str | Path) -> Path:
        """Write the artifact; see ``toolchain.artifact``."""
        from toolchain.artifact import save

        return save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Deployment:
        """Read an artifact; torch is not needed. ArtifactError where it is damaged."""
        from toolchain.artifact import load

        return load(Path(folder))

    def __str__(self) -> str:
        """Placement, resources and findings, as tables."""
        from toolchain.tables import render

        return render(self)


def _flat_output(recording: Recording) -> Recording:
    """The recording with its outputs as (batch, time, outputs)."""
    spikes = recording.spikes
    return Recording(
        spikes=spikes.reshape(*spikes.shape[:2], int(np.prod(spikes.shape[2:]))),
        layers=recording.layers,
        saturations=recording.saturations,
        dt=recording.dt,
        activity=recording.activity,
    )


def counts_of(family: Family, graph: Graph, spikes: Spikes, what: str) -> Array:
    """``spikes`` as counts in the shape of the graph's input; ValueError where they are none."""
    if are_events(spikes):
        if not takes_events(family):
            raise ValueError(
                f"{what} must be counts (batch, time, *features): this chip takes no event arrays"
            )
        if graph.dt is None:
            raise ValueError("event arrays need the length of a timestep: deploy with dt=... in s")
        spikes = family.counts(spikes, graph.shape(graph.input), graph.dt)
    return fitted(graph, spikes, what)
