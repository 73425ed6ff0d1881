"""A network on a chip: what stands at the end of the road, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Family, Options, Resource, Timing
from toolchain.chips.load import family_of, load_chip
from toolchain.chips.options import merge_options
from toolchain.chips.resources import resource_table
from toolchain.deployment.inputs import counts_of
from toolchain.deployment.store import Parts, read_parts, write_parts
from toolchain.estimate import Estimate
from toolchain.fidelity import Trace, trace
from toolchain.hardware import SpecBase
from toolchain.ir import Graph
from toolchain.report import Sheet, Text, render
from toolchain.runs import Activity, Recording, Spikes
from toolchain.runs.compare import Comparison, compare
from toolchain.runs.interpret import interpret
from toolchain.runs.spikes import are_events

__all__ = ["Deployment"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deployment(Parts):
    """A network on a chip; what it consists of is described in ``Parts``."""

    @property
    def chip(self) -> SpecBase:
        """The chip's specification."""
        return self.on_chip.chip

    @property
    def program(self) -> Any:
        """What is loaded, in integers: the family's own frozen program."""
        return self.on_chip.program

    @property
    def family(self) -> Family:
        """The chip's family."""
        return family_of(self.chip)

    @property
    def placement(self) -> dict[str, str]:
        """The user's layer names to core or neuron ids."""
        return dict(self.on_chip.placement())

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
            spikes: non-negative integer counts, (batch, time, *input shape). On chips that take
                events also event arrays, structured, with fields ``x, y, t, p`` (column, row, µs,
                channel), one or a list of them, one a sample: no raster is built of them, steps
                are of the deployment's dt and end with the last event.
            record: also keep spikes and states of every layer, and count saturations.
            timing: ``event`` is for chips that take events one by one.

        Returns:
            A Recording in integers, ``spikes`` (batch, time, outputs).

        Raises:
            ValueError: no such counts; says what was seen and what is wanted.
        """
        return self.on_chip.simulate(self._for_chip(spikes), record=record, timing=timing)

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

    def compare(
        self, spikes: Spikes, *, options: Options | None = None, permutations: int | None = None
    ) -> Comparison:
        """Compare the chip with the trained network, layer by layer, the chip's lag undone.

        The trained network, the quantized graph, and the chip in each of its timings run on the
        same spikes.

        Args:
            spikes: as ``simulate`` takes them; best those that the quantizer was not given.
            options: options of the chip's family.
            permutations: deprecated, an option of the family.

        Raises:
            ValueError: spikes of another shape, or options that the chip does not have.
        """
        chosen = merge_options(self.family, options, {"permutations": permutations})
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
            orders=self.on_chip.order_spread(given, chosen),
        )

    def trace(self, spikes: Spikes) -> Trace:
        """Run ``spikes`` through every layer, on the chip and in the trained network."""
        chip = partial(self.simulate, record=True)
        return trace(
            self.graph,
            self.quantized,
            self._counts(spikes, self.graph),
            reference=partial(self.reference, record=True),
            chip=chip,
            one_by_one=partial(chip, timing="event") if self._takes_events else None,
            lags=self.family.lags(self.quantized),
        )

    @property
    def _takes_events(self) -> bool:
        return "event" in self.family.TIMINGS

    def _counts(self, spikes: Spikes, graph: Graph) -> Array:
        """``spikes`` as counts in the shape of that graph's input."""
        counts = counts_of(self.family, self.graph, spikes, "spikes")
        return counts.reshape(*counts.shape[:2], *graph.shape(graph.input))

    def _for_chip(self, spikes: Spikes) -> Spikes:
        """``spikes`` as the chip takes them: events as they are, counts in its input's shape."""
        if are_events(spikes) and self._takes_events:
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
        counted = self._activity_of(spikes, rates, steps, recording, activity)
        chip = None if overlay is None else load_chip(self.chip.name, overlay=overlay)
        return self.on_chip.cost(counted, clock_hz, modes or {}, chip)

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
            return self.on_chip.activity(self._for_chip(spikes))
        if rates is not None:
            if steps is None:
                raise ValueError("rates need steps, the timesteps of one inference")
            return self.on_chip.activity_at(self._all_rates(rates), steps)
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
        return self.on_chip.resources()

    def config(self) -> dict[str, Any]:
        """Return the configuration that the vendor's tools load, as plain data."""
        return dict(self.on_chip.config())

    def live_config(self) -> Any:
        """Return the configuration as an object of the vendor's library.

        Raises:
            VendorError: the vendor's library is absent or only its installer stub is there.
        """
        return self.on_chip.live_config()

    def save(self, folder: str | Path) -> Path:
        """Write the artifact to ``folder`` and return it; see ``toolchain.deployment.store``.

        Raises:
            ArtifactError: ``folder`` exists and is no saved deployment; it is left alone.
        """
        return write_parts(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Deployment:
        """Read an artifact; torch is not needed. ArtifactError where it is damaged."""
        return read_parts(Path(folder), cls)

    def sheet(self) -> Sheet:
        """Describe placement and resources, the fidelity of each layer, origin and findings."""
        used = resource_table(f"{self.chip.title}: fits", self.resources())
        findings = Text(tuple(map(str, self.diagnostics)))
        return Sheet((used, *self.ledger.sheet(brief=True).blocks, findings))

    def __str__(self) -> str:
        """Return the sheet as text."""
        return render(self.sheet())


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
