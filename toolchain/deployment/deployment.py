"""Deployment: a network on a chip, ready to simulate, compare, estimate and save."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import (
    Family,
    Options,
    Record,
    Resource,
    SessionSettings,
    Timing,
)
from toolchain.chips.load import family_of
from toolchain.chips.options import merge_options
from toolchain.chips.resources import resource_bars, resource_table
from toolchain.chips.stored import with_overlay
from toolchain.deployment.activity import activity_for
from toolchain.deployment.ceiling import ceiling_on
from toolchain.deployment.chip_input import chip_input
from toolchain.deployment.fitting import fitted
from toolchain.deployment.inputs import collected, counts_of, some_steps
from toolchain.deployment.sensitivity import sensitivity_on
from toolchain.deployment.session import Session, run_once
from toolchain.deployment.side_by_side import SideBySide
from toolchain.deployment.store import Parts, read_parts, write_parts
from toolchain.deployment.trained import TrainedParts
from toolchain.deployment.warn import of_activity
from toolchain.diagnostics import Severity
from toolchain.estimate import Estimate
from toolchain.fidelity import Trace, trace
from toolchain.fidelity.sensitivity import Sensitivity
from toolchain.hardware import SpecBase
from toolchain.ir import Graph, MembraneReadout
from toolchain.report import Described, Sheet, Text, plain
from toolchain.runs import Activity, ChipState, DecisionRule, InputSpikes, Recording
from toolchain.runs.collect import Collected
from toolchain.runs.compare import Comparison
from toolchain.runs.comparison_tally import ComparisonTally
from toolchain.runs.interpret import interpret
from toolchain.runs.outputs import output_lags, output_signals, outputs_by_name
from toolchain.runs.spikes import are_events

if TYPE_CHECKING:
    from toolchain.training import ChipModule
    from toolchain.training.history import History

__all__ = ["Deployment"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Deployment(Described, Parts):
    """Network on a chip, the result of ``deploy``; ``Parts`` describes its attributes.

    >>> import numpy as np
    >>> from toolchain import deploy
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> lif = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    >>> graph = Graph.chain(
    ...     {
    ...         "input": Input(shape=(4,)),
    ...         "fc1": Linear(weight=np.eye(3, 4)),
    ...         "lif1": Neuron(shape=(3,), **lif),
    ...         "fc2": Linear(weight=np.eye(2, 3)),
    ...         "lif2": Neuron(shape=(2,), **lif),
    ...         "output": Output(),
    ...     },
    ...     dt=1e-3,
    ... )
    >>> d = deploy(graph, "xylo_a2")
    >>> d
    Deployment(chip='xylo_a2', layers=2, fidelity='approximated', warnings=1)
    >>> spikes = np.ones((1, 20, 4), int)
    >>> d.simulate(spikes).spikes.sum(axis=(0, 1)).tolist()
    [15, 15]
    >>> d.estimate(spikes).power.unit
    'µW'
    >>> d.save("keyword").name
    'keyword'
    >>> Deployment.load("keyword").placement
    {'lif1': 'hidden 0..2', 'lif2': 'output 0..1'}
    """

    history: History | None = None
    """Course of the training, of a result of ``fit``; None otherwise. It is not saved."""

    @property
    def chip(self) -> SpecBase:
        """The chip's specification."""
        return self.on_chip.chip

    @property
    def program(self) -> Any:
        """The integers loaded on the chip: the frozen program of the family."""
        return self.on_chip.program

    @property
    def family(self) -> Family:
        """The chip's family."""
        return family_of(self.chip)

    @property
    def placement(self) -> dict[str, str]:
        """Core or neuron ids of each layer, by the user's name."""
        return dict(self.on_chip.placement())

    @property
    def lag(self) -> int:
        """Timesteps by which the chip's output is later than the reference's.

        Of several outputs, the largest of ``lags``.
        """
        return self.family.lag(self.quantized)

    @property
    def lags(self) -> dict[str, int]:
        """Timesteps by which each output is later than the reference's, by its name."""
        names = self.quantized.output_names
        if len(names) == 1:
            return dict.fromkeys(names, self.lag)
        return output_lags(self.quantized, self.family.lags(self.quantized))

    @property
    def lag_of_neurons(self) -> Array:
        """The lag of each output neuron, (outputs,), in the order of ``Recording.spikes``."""
        size = sum(prod(self.quantized.shape(name)) for name in output_signals(self.quantized))
        found: Array = np.zeros((1, 1, size), int)
        for name, part in outputs_by_name(self.quantized, found).items():
            part[:] = self.lags[name]
        return np.asarray(found[0, 0])

    def simulate(
        self,
        spikes: InputSpikes,
        *,
        record: Record = False,
        timing: Timing = "clocked",
        state: ChipState | None = None,
        steps: int | None = None,
    ) -> Recording:
        """Compute the chip's output, bit for bit, from a fresh state or from ``state``.

        Args:
            spikes: non-negative integer counts, (batch, time, *input shape). Chips with event
                inputs also take event arrays: structured arrays with fields ``x, y, t, p``
                (column, row, µs, channel), one or a list with one a sample. No raster is built of
                them; timesteps have the deployment's dt, and the last event ends the last one.
            record: True also keeps spikes and states of every layer, and counts saturations. Names
                by layer, ``{"conv2": ("spikes",)}``, keep these alone, in ``recorded``.
            timing: ``"event"`` processes events one by one, on chips that do so.
            state: ``state`` of an earlier recording, or of a session, to continue from; its times
                of events continue too.
            steps: number of timesteps, for event arrays: those after the last event are silent.

        Returns:
            A Recording in integers: ``spikes`` (batch, time, outputs), each output of the network
            by name in ``outputs``, and the ``state`` after the last step.

        Raises:
            ValueError: spikes of another shape or kind, or a state of another deployment; the
                message gives both.
        """
        return run_once(self, spikes, record=record, timing=timing, state=state, steps=steps)

    def session(
        self,
        *,
        batch: int = 1,
        timing: Timing = "clocked",
        record: Record = False,
        state: ChipState | None = None,
        options: Options | None = None,
        threads: int | None = None,
    ) -> Session:
        """Start a simulation in pieces, for streams and recordings of any length.

        Args:
            batch: number of samples in each piece.
            timing, record: as for ``simulate``.
            state: state to start from; the chip's initial state by default.
            options: options of the simulation, of the chip's family.
            threads: samples simulated at a time; the number of processors by default.

        Raises:
            ValueError: invalid arguments, or a chip without sessions.
        """
        settings = SessionSettings(
            batch=batch, timing=timing, record=record, options=options, threads=threads
        )
        session = Session(self, settings)
        if state is not None:
            session.restore(state)
        return session

    def as_module(
        self,
        *,
        timing: Timing = "clocked",
        train: Collection[str] = ("weight", "threshold", "bias"),
        surrogate: Callable[[Any, Any], Any] | None = None,
        threads: int | None = None,
    ) -> ChipModule:
        """Return the network on the chip as a torch module, to train it on the chip's integers.

        Its forward pass equals ``simulate``, its backward pass is a surrogate gradient, and its
        ``deployment()`` is the deployment of the trained integers.

        Args:
            timing: as for ``simulate``.
            train: kinds of parameters that require a gradient.
            surrogate: derivative of the spikes with respect to the membrane, such as those of
                ``toolchain.nn``; see ``toolchain.training.ChipModule``.
            threads: samples simulated at a time; the number of processors by default.

        Raises:
            ValueError: invalid arguments, or a program that cannot be trained.
        """
        from toolchain.training import ChipModule

        return ChipModule(
            TrainedParts(parts=self),
            timing=timing,
            train=train,
            surrogate=surrogate,
            threads=threads,
        )

    def fit(
        self,
        data: Any,
        labels: Any = None,
        *,
        loss: Callable[[Any, Any], Any] | None = None,
        objective: Literal["reference"] | None = None,
        decision: DecisionRule = "mean",
        epochs: int = 12,
        validation: Any = 0.2,
        batch: int = 64,
        lr: float | Mapping[str, float] | None = None,
        optimizer: Callable[[Any], Any] | None = None,
        train: Collection[str] = ("weight", "threshold", "bias"),
        surrogate: Callable[[Any, Any], Any] | None = None,
        timing: Timing = "clocked",
        seed: int = 0,
        threads: int | None = None,
        progress: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Deployment:
        """Train the integers on the chip's own arithmetic and return a new deployment.

        Each epoch is judged on samples that were not trained on. The integers of the best one are
        taken, if it is strictly better than the start; else those of the start. The result can be
        trained on: it continues from the unrounded values. Ctrl-C ends it with KeyboardInterrupt;
        with ``checkpoint`` the same call continues after the last whole epoch, also in another
        process, and gives the same result as without a break, bit for bit.

        Args:
            data: spikes (samples, time, *input shape), or recordings of one length in a list; or,
                without ``labels``, a data set, a loader or a list of pairs (spikes, labels).
            labels: class numbers or one-hot rows, one output for each class; with ``loss``, any
                numbers, one row a sample.
            loss: function of the outputs (batch, time, outputs), a tensor, and the labels of a
                batch, to one number, of which less is better. By default the cross-entropy of the
                spike counts, of which 3 are a unit of a logit, or of the states that are read.
            objective: ``"reference"`` trains without labels, to the spike counts of the trained
                network in every layer.
            decision: which values over time are the answer, see ``toolchain.runs.decide``.
            epochs: passes over the training samples.
            validation: part of the samples that chooses the epoch, drawn from each class; or
                samples of its own, in a form of ``data``; 0 takes the last epoch.
            batch: samples of a step.
            lr: distance of a step: of weights and biases as a part of the largest weight that the
                chip holds, of thresholds as a part of themselves; one number, or by kind,
                ``{"weight": 0.01, "threshold": 0.004, "bias": 0.004}``. A warm-up and a cosine
                reduce it.
            optimizer: function of the parameters in place of ``LatentAdam``, such as
                ``functools.partial(torch.optim.SGD, lr=0.1)``.
            train, surrogate, timing, threads: as for ``as_module``.
            seed: of the choice of validation samples and of the order.
            progress: False shows no progress bar.
            checkpoint: folder of the state after each epoch.

        Returns:
            A deployment with ``history``, a finding with the score before and after, and the
            activity of the trained network.

        Raises:
            ValueError: data, labels or settings that cannot be used; the message states the remedy.
            ArtifactError: a checkpoint that is damaged, or that of another training.
            GradientError: a gradient of the first epoch that is not finite.

        >>> import numpy as np
        >>> from toolchain import deploy
        >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
        >>> lif = Neuron(shape=(2,), v_threshold=1.0, alpha_mem=0.75, alpha_syn=[0.5])
        >>> nodes = {"input": Input(shape=(2,)), "fc1": Linear(weight=np.eye(2)), "lif1": lif}
        >>> nodes |= {"fc2": Linear(weight=[[0.5, 0.4], [0.4, 0.5]]), "lif2": lif}
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 2, 60)
        >>> spikes = rng.poisson(np.where(np.eye(2)[labels], 0.6, 0.2)[:, None], (60, 20, 2))
        >>> d = deploy(Graph.chain({**nodes, "output": Output()}, dt=1e-3), "xylo_a2")
        >>> trained = d.fit(spikes, labels, epochs=3, lr=0.05)
        >>> trained.history.best.beats(trained.history.start)
        True
        """
        settings = {
            "loss": loss,
            "objective": objective,
            "decision": decision,
            "epochs": epochs,
            "validation": validation,
            "batch": batch,
            "lr": lr,
            "optimizer": optimizer,
            "seed": seed,
            "progress": progress,
            "checkpoint": checkpoint,
        }
        module = self.as_module(timing=timing, train=train, surrogate=surrogate, threads=threads)
        result, history = fitted(self, module, data, labels, settings)
        deployment: Deployment = replace(result, history=history)
        return deployment

    def reference(self, spikes: InputSpikes, *, record: bool = False) -> Recording:
        """Compute the trained network's output, in float64, in the shapes of the Graph.

        Event arrays become counts per timestep.
        """
        counts = self._counts(spikes, self.graph)
        return _flat_output(interpret(self.graph, counts, record=record), self.graph)

    def reference_quantized(self, spikes: InputSpikes, *, record: bool = False) -> Recording:
        """Compute the quantized graph's output: its integers, in float64 arithmetic."""
        counts = self._counts(spikes, self.quantized)
        return _flat_output(interpret(self.quantized, counts, record=record), self.quantized)

    def compare(
        self,
        spikes: InputSpikes,
        *,
        options: Options | None = None,
        permutations: int | None = None,
    ) -> Comparison:
        """Compare the chip with the trained network, layer by layer, corrected for the chip's lag.

        The trained network, the quantized graph, and the chip in each of its timings run on the
        same spikes, in pieces, so that recordings of any length need little memory.

        Args:
            spikes: as for ``simulate``; best held-out, not the calibration.
            options: options of the chip's family.
            permutations: deprecated, an option of the family.

        Raises:
            ValueError: spikes of another shape, or options that the chip does not have.
        """
        chosen = merge_options(self.family, options, {"permutations": permutations})
        both = SideBySide(self, spikes)
        tally = ComparisonTally(
            steps=both.steps,
            outputs=self.quantized.outputs,
            lags=self.family.lags(self.quantized),
            lag=self.lag_of_neurons,
        )
        for first_sample, first_step, runs in both.pieces():
            tally.add(runs, first_sample, first_step)
        orders = self.on_chip.order_spread(both.given, chosen)
        found = tally.comparison(self.chip.title, orders)
        return found if found.states else replace(found, ceiling=ceiling_on(self, both.excerpt()))

    def sensitivity(self, spikes: InputSpikes) -> Sensitivity:
        """Return which layers' integers cost how much agreement, the dearest first.

        The trained network runs with the chip's numbers in one layer alone and in all but one. Of
        many samples some, evenly spaced, are used.

        Args:
            spikes: as for ``reference``; best held-out, not the calibration.

        Raises:
            ValueError: spikes of another shape, outputs that are read as states, or a deployment
                without a trained network.

        >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
        >>> rng = np.random.default_rng(0)
        >>> lif = {"v_threshold": 1.0, "alpha_mem": 0.8, "alpha_syn": [0.5]}
        >>> nodes = {"input": Input(shape=(8,)), "fc1": Linear(weight=rng.normal(size=(12, 8)))}
        >>> nodes |= {"lif1": Neuron(shape=(12,), **lif), "fc2": Linear(weight=np.ones((2, 12)))}
        >>> nodes |= {"lif2": Neuron(shape=(2,), **lif), "output": Output()}
        >>> spikes = rng.poisson(0.1, (16, 60, 8))
        >>> d = deploy(Graph.chain(nodes, dt=1e-3), "xylo_a2", calibration=spikes)
        >>> found = d.sensitivity(spikes)
        >>> [layer.layer for layer in found.layers]
        ['lif1', 'lif2']
        """
        counts = some_steps(self._counts(spikes, self.graph), "spikes")
        return sensitivity_on(self, counts, partial(self.simulate, record=True))

    def trace(self, spikes: InputSpikes | Collected) -> Trace:
        """Run ``spikes`` through every layer, on the chip and in the trained network.

        Unlike ``simulate`` it takes recordings of different length.
        """
        chip = partial(self.simulate, record=True)
        return trace(
            self.graph,
            self.quantized,
            collected(self.family, self.graph, spikes, "spikes").groups,
            reference=partial(self.reference, record=True),
            chip=chip,
            one_by_one=partial(chip, timing="event") if self._takes_events else None,
            lags=self.family.lags(self.quantized),
        )

    def _spikes_at(self, output: str) -> bool:
        """Return whether an output is read as spikes, not as a state."""
        return not isinstance(self.quantized[output], MembraneReadout)

    @property
    def _takes_events(self) -> bool:
        return "event" in self.family.TIMINGS

    def _counts(self, spikes: InputSpikes, graph: Graph) -> Array:
        """Return ``spikes`` as counts in the shape of the input of ``graph``."""
        counts = counts_of(self.family, self.graph, spikes, "spikes")
        return counts.reshape(*counts.shape[:2], *graph.shape(graph.input))

    def estimate(
        self,
        spikes: InputSpikes | None = None,
        rates: Mapping[str, float] | None = None,
        clock_hz: float | None = None,
        *,
        input_rate: float | Array | None = None,
        steps: int | None = None,
        seed: int = 0,
        recording: Recording | None = None,
        activity: Activity | None = None,
        modes: Mapping[str, str] | None = None,
        overlay: str | Path | None = None,
    ) -> Estimate:
        """Estimate power by rail, energy, latency, pace and synops for the given activity.

        Without arguments the activity of the calibration spikes is used.

        Args:
            spikes: input spikes, as for ``simulate``.
            rates: mean rates in spike/s a neuron, by layer name, the input's included, together
                with ``steps``.
            activity: an activity counted earlier.
            clock_hz: main clock, Hz, on a chip that has one.
            input_rate: mean rate of the input, spike/s, one number or one of each channel.
                Poisson input of this rate is drawn and simulated on the chip's integers, for want
                of recorded spikes; ``activity_source`` of the estimate says so.
            steps: timesteps of one inference; taken from ``spikes`` where these are given, and for
                ``input_rate`` from the calibration spikes.
            seed: of the random numbers of ``input_rate``.
            recording: result of ``simulate(..., record=True)``, to avoid a second simulation.
            modes: setting by switch, ``{"configuration": "ram_open"}``; ``chip.power.switches``
                lists them. If a switch is omitted, the range spans its measured settings.
            overlay: file with your own constants; see ``toolchain.estimate.calibrate``.

        Raises:
            ValueError: several of these or none, or the deployment has no dt.
        """
        counted, source = activity_for(
            self,
            self._activity_on,
            spikes=spikes,
            rates=rates,
            input_rate=input_rate,
            steps=steps,
            seed=seed,
            recording=recording,
            activity=activity,
        )
        chip = None if overlay is None else with_overlay(self.chip, Path(overlay))
        estimate = self.on_chip.cost(counted, clock_hz, modes or {}, chip)
        spiking = [name for name in self.quantized.outputs if self._spikes_at(name)]
        found = of_activity(counted, spiking, self.diagnostics)
        warnings = () if rates is not None else found
        return replace(estimate, warnings=warnings, activity_source=source)

    def _activity_on(self, spikes: InputSpikes) -> Activity:
        """Simulate ``spikes`` and return their activity; ValueError without a timestep."""
        counts = some_steps(self._counts(spikes, self.graph), "spikes")
        return self.on_chip.activity(chip_input(self, spikes if are_events(spikes) else counts))

    def resources(self) -> tuple[Resource, ...]:
        """Return the amount of each resource that each layer uses, with its limit."""
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

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the artifact to ``folder`` and return its path; an older artifact is replaced.

        See ``toolchain.deployment.store`` for the files and ``toolchain.atomic`` for what holds
        if the process is killed meanwhile or if others read or write the same folder.

        Args:
            folder: missing, empty, or an artifact with nothing else in it. Missing parents are
                created, ``~`` is the home of the user, and links are followed.

        Raises:
            ArtifactError: ``folder`` contains anything but a saved deployment, or one of a newer
                format, or cannot be written; it is not changed.
        """
        return write_parts(self, folder)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Deployment:
        """Read the artifact in ``folder``, in the format of this release or the one before.

        Torch is not needed, nor the chip file: the artifact has the chip's specification. A finding
        says what differs where a built-in chip has changed since.

        Raises:
            ArtifactError: it is missing, damaged or of another version, or its parts do not agree;
                the message says which part, what differs, and what to do.
            PluginError: the package of the chip's family cannot be imported.
        """
        return read_parts(folder, cls)

    def sheet(self) -> Sheet:
        """Describe placement and resources, the fidelity of each layer, origin and findings."""
        rows = self.resources()
        findings = Text(tuple("\n".join(map(str, self.diagnostics)).splitlines()))
        return Sheet(
            (resource_table("", rows), *self.ledger.sheet(brief=True).parts, findings),
            f"{self.chip.title}: fits",
            (resource_bars("share of the limit", rows),),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what ``sheet`` describes as plain data, which JSON can hold; see also ``save``."""
        return {
            "chip": self.chip.name,
            "dt": plain(self.graph.dt),
            "lag": self.lag,
            "placement": self.placement,
            "resources": plain(self.resources()),
            "fidelity": self.ledger.as_dict(),
            "diagnostics": [finding.as_dict() for finding in self.diagnostics],
        }

    def __repr__(self) -> str:
        """Return chip, number of placed layers, weakest fidelity and number of warnings."""
        warnings = sum(each.severity is Severity.WARNING for each in self.diagnostics)
        return (
            f"Deployment(chip={self.chip.name!r}, layers={len(self.placement)}, "
            f"fidelity={self.ledger.fidelity.value!r}, warnings={warnings})"
        )


def _flat_output(recording: Recording, graph: Graph) -> Recording:
    """Return the recording with its outputs as (batch, time, outputs); membranes as readout."""
    spikes = recording.spikes
    flat = spikes.reshape(*spikes.shape[:2], int(np.prod(spikes.shape[2:])))
    if not _reads_membranes(graph):
        return replace(recording, spikes=flat)
    return replace(recording, spikes=np.zeros_like(flat), readout=flat)


def _reads_membranes(graph: Graph) -> bool:
    return all(isinstance(graph[name], MembraneReadout) for name in graph.outputs)
