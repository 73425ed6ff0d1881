"""Estimate of a program on a chip: power, energy and speed, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from toolchain.diagnostics import Diagnostic
from toolchain.estimate.costs import LayerCost, Pace
from toolchain.estimate.figure import Figure, total, unknown
from toolchain.estimate.sheet import figure_table, layer_table, pace_text
from toolchain.estimate.suggest import Suggestion, dominating_layers
from toolchain.estimate.terms import Counts, NotPriced, Term
from toolchain.report import Bars, Described, Sheet, plain, plural, share, short
from toolchain.runs.activity import Activity

__all__ = ["Estimate"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Estimate(Described):
    """Power, energy and speed of a program, before the chip is at hand.

    Every figure carries its unit; energies are of a step (``nJ/step``), of a second of input
    (``µJ/s``) or of an inference (``µJ/inference``), and do not add up with each other.

    Attributes:
        chip: its name.
        clock_hz: main clock, Hz, or None on a chip without one.
        modes: setting of each switch of the chip; None if not given, so that the range spans all
            measured settings.
        activity: what was counted.
        activity_source: origin of an activity that was not counted on the user's spikes; empty
            otherwise.
        places: layer to core or neurons, as text.
        terms: every product of the power model.
        counts: how often each action happens a second, by layer.
        energies: energy of each counted action that has a price, pJ.
        latency: from an input spike to the output spike it causes, ms; None where nothing is
            known.
        pace: work against limit, for every place with a limit.
        clock_suggestions: main clocks that suffice; see ``suggestions``.
        not_priced: costs that are not in these figures.
        warnings: findings which say that the activity is not that of a working network.

    >>> from toolchain import deploy
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> fc = Linear(weight=[[0.5, 0.2, 0.1], [0.1, 0.4, 0.3]])
    >>> neurons = Neuron(shape=(2,), v_threshold=1.0)
    >>> nodes = {"input": Input(shape=(3,)), "fc": fc, "if": neurons, "output": Output()}
    >>> deployment = deploy(Graph.chain(nodes, dt=1e-3), "speck2f")
    >>> estimate = deployment.estimate(rates={"input": 50.0, "if": 20.0}, steps=100)
    >>> print(estimate.idle_power)
    1 144 µW (995.7 to 1 320, derived)
    >>> isinstance(estimate, Estimate), estimate.basis, f"{estimate.synops_per_second:.0f} synop/s"
    (True, 'derived', '300 synop/s')
    """

    chip: str
    clock_hz: float | None
    modes: Mapping[str, str | None]
    activity: Activity
    places: Mapping[str, str]
    terms: tuple[Term, ...]
    counts: Counts
    latency: Figure | None
    pace: tuple[Pace, ...]
    clock_suggestions: tuple[Suggestion, ...]
    not_priced: tuple[NotPriced, ...]
    energies: Mapping[str, Figure] = field(default_factory=dict)
    activity_source: str = ""
    warnings: tuple[Diagnostic, ...] = ()

    # ---- power ----

    @property
    def idle(self) -> dict[str, Figure]:
        """Draw of each supply rail with nothing to do, µW; empty where none is known."""
        return _by(self.terms, "idle", lambda term: term.rail)

    @property
    def all_in(self) -> tuple[str, ...]:
        """Rails whose reading is of a running network, so that it contains activity already."""
        rails = (term.rail for term in self.terms if term.scope == "all_in")
        return tuple(dict.fromkeys(rails))

    @property
    def dynamic(self) -> dict[str, Figure]:
        """Power that activity adds on each rail, µW; empty where it has no price.

        On the rails of ``all_in`` it is added to the upper end only. Where the division of an
        energy among rails has a range, the ranges of the rails together are wider than that of
        ``dynamic_power``.
        """
        return _by(self.terms, "dynamic", lambda term: term.rail, lambda term: term.on_rail)

    @property
    def idle_power(self) -> Figure:
        """All rails with nothing to do, µW."""
        return total(idle.values(), "µW") if (idle := self.idle) else unknown("µW")

    @property
    def dynamic_power(self) -> Figure:
        """Power that activity adds, all rails, µW."""
        parts = [term.power for term in self.terms if term.kind == "dynamic"]
        return total(parts, "µW") if parts else unknown("µW")

    @property
    def power_by_rail(self) -> dict[str, Figure]:
        """Idle and dynamic together, µW, by rail."""
        parts = self.idle, self.dynamic
        rails = dict.fromkeys([*parts[0], *parts[1]])
        return {rail: total([p[rail] for p in parts if rail in p], "µW") for rail in rails}

    @property
    def power(self) -> Figure:
        """All rails, idle and dynamic, µW."""
        return self.idle_power + self.dynamic_power

    @property
    def basis(self) -> str:
        """The weakest basis of all that went into the power."""
        return self.power.basis

    # ---- energy ----

    @property
    def seconds_per_step(self) -> float:
        """Duration of a step, s: its length in real time, or its work if the clock is too slow.

        An overloaded chip without a clock has the length in real time: its behaviour is not known.
        """
        clocked = self.pace if self.clock_hz is not None else ()
        return self.activity.dt * max([1.0, *(pace.typical / pace.limit for pace in clocked)])

    @property
    def energy_per_step(self) -> Figure:
        """Idle and dynamic, nJ/step."""
        return self.power.times(self.seconds_per_step * 1e3, "nJ/step")

    @property
    def energy_per_second_of_input(self) -> Figure:
        """For one second of input, µJ/s: the power, unless the chip takes longer than that."""
        return self.power.times(self.seconds_per_step / self.activity.dt, "µJ/s")

    @property
    def energy_per_inference(self) -> Figure:
        """For the timesteps of one inference, µJ/inference."""
        return self.power.times(self._seconds, "µJ/inference")

    @property
    def dynamic_energy_per_inference(self) -> Figure:
        """The dynamic part of it, µJ/inference."""
        return self.dynamic_power.times(self._seconds, "µJ/inference")

    @property
    def _seconds(self) -> float:
        return self.activity.steps * self.seconds_per_step

    # ---- work ----

    @property
    def synops_per_second(self) -> float:
        """Synaptic operations, synop/s, in real time."""
        return self.activity.synops_per_step / self.activity.dt

    @property
    def synops_per_inference(self) -> float:
        """Synaptic operations of one inference, synop."""
        return self.activity.synops_per_step * self.activity.steps

    @property
    def load(self) -> Figure | None:
        """Work over what can be done in real time, at the busiest place; above 1 it is too slow.

        From the counted activity to everything spiking at once. None where no limit is known.
        """
        if not self.pace:
            return None
        pace = max(self.pace, key=lambda each: each.typical / each.limit)
        typical = pace.typical / pace.limit
        return Figure(
            low=typical,
            nominal=typical,
            high=typical if pace.worst is None else max(typical, pace.worst / pace.limit),
            unit="fraction",
            basis=pace.basis,
            source=pace.source,
        )

    @property
    def duty_cycle(self) -> Figure | None:
        """Part of the time in which the chip computes, 0..1; None where no limit is known."""
        load = self.load
        if load is None:
            return None
        assert load.nominal is not None
        return Figure(
            low=min(1.0, load.low),
            nominal=min(1.0, load.nominal),
            high=min(1.0, load.high),
            unit="fraction",
            basis=load.basis,
            source=load.source,
        )

    @property
    def keeps_up(self) -> bool | None:
        """True if the counted work is done in time everywhere; None where no limit is known."""
        return all(pace.keeps_up for pace in self.pace) if self.pace else None

    @property
    def always_keeps_up(self) -> bool | None:
        """True if the largest possible work is; None where that or the limit is not known."""
        found = [pace.always_keeps_up for pace in self.pace]
        if False in found:
            return False
        return None if not found or None in found else True

    @property
    def layers(self) -> tuple[LayerCost, ...]:
        """Each layer's work and its part of what activity adds."""
        dynamic = _by(self.terms, "dynamic", lambda term: term.layer)
        weights = _weights(dynamic)
        everything = sum(weights.values())
        return tuple(
            LayerCost(
                name=layer.name,
                place=self.places.get(layer.name, ""),
                spikes_per_second=layer.spikes_per_step / self.activity.dt,
                synops_per_second=layer.synops_per_step / self.activity.dt,
                dynamic_power=dynamic.get(layer.name, unknown("µW")),
                dynamic_share=(weights.get(layer.name, 0.0) / everything if everything else None),
            )
            for layer in self.activity.layers
        )

    @property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """Ways to draw less power: another clock, and the layers with the most activity."""
        layers = dominating_layers(self.layers, power=self.power, idle=self.idle_power)
        return self.clock_suggestions + (() if layers is None else (layers,))

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate as plain data, which JSON can hold; None for what is unknown."""
        found = {
            "chip": self.chip,
            "clock_hz": self.clock_hz,
            "modes": dict(self.modes),
            "activity": self.activity.as_dict(),
            "activity_source": self.activity_source,
            **{name: getattr(self, name).as_dict() for name in FIGURES},
            **{name: _optional(getattr(self, name)) for name in ("latency", "load", "duty_cycle")},
            **{name: _figures(getattr(self, name)) for name in ("idle", "dynamic", "energies")},
            "all_in": list(self.all_in),
            "power_by_rail": _figures(self.power_by_rail),
            "layers": [
                {**asdict(layer), "dynamic_power": layer.dynamic_power.as_dict()}
                for layer in self.layers
            ],
            "pace": [asdict(pace) for pace in self.pace],
            "seconds_per_step": self.seconds_per_step,
            "synops_per_second": self.synops_per_second,
            "synops_per_inference": self.synops_per_inference,
            "keeps_up": self.keeps_up,
            "always_keeps_up": self.always_keeps_up,
            "suggestions": [suggestion.as_dict() for suggestion in self.suggestions],
            "not_priced": [asdict(item) for item in self.not_priced],
            "basis": self.basis,
            "warnings": [finding.as_dict() for finding in self.warnings],
        }
        return {name: plain(value) for name, value in found.items()}

    def sheet(self) -> Sheet:
        """Describe power, energy and speed of the whole network, then each layer."""
        clock = "" if self.clock_hz is None else f", {self.clock_hz / 1e6:g} MHz"
        activity = self.activity
        synops = (
            f"{short(activity.synops_per_step, 4)} per step, "
            f"{short(self.synops_per_second, 4)} per s, "
            f"{short(self.synops_per_inference, 4)} per inference"
        )
        unset = "not given; every measured mode"
        rows: tuple[tuple[str, object], ...] = (
            ("activity", self.activity_source or None),
            *((switch, setting or unset) for switch, setting in self.modes.items()),
            *((f"power, rail {rail}", figure) for rail, figure in self.power_by_rail.items()),
            ("power, idle", self.idle_power),
            ("power, dynamic", self.dynamic_power),
            *((f"  rail {rail}", ALL_IN) for rail in self.all_in),
            ("power", self.power),
            ("weakest basis", self.basis),
            *((f"energy, {name}", each) for name, each in self.energies.items()),
            ("energy per step", self.energy_per_step),
            ("energy per second of input", self.energy_per_second_of_input),
            ("energy per inference", self.energy_per_inference),
            ("  dynamic part", self.dynamic_energy_per_inference),
            ("latency", self.latency),
            ("load", self.load),
            ("duty cycle", self.duty_cycle),
            ("keeps up", self._pace_text()),
            ("synops", synops),
            *(("not priced", item) for item in self.not_priced),
            *(("suggestion", suggestion) for suggestion in self.suggestions),
            *(("warning", f"{each.where}: {each.message}") for each in self.warnings),
        )
        title = f"{self.chip}{clock}, {plural(activity.steps, 'step')} of {activity.dt:g} s"
        layers = self.layers
        dynamic = [(layer.dynamic_power, layer.dynamic_share) for layer in layers]
        return Sheet(
            (figure_table("", rows), layer_table(activity.layers, dynamic)),
            title,
            (_shares(layers),),
        )

    def _pace_text(self) -> str | None:
        if not self.pace:
            return None
        slow = [pace.where for pace in self.pace if not pace.keeps_up]
        return pace_text(slow, max(pace.margin for pace in self.pace), self.always_keeps_up)

    def __repr__(self) -> str:
        """Return chip, clock and power."""
        return f"Estimate(chip={self.chip!r}, clock_hz={self.clock_hz}, power={str(self.power)!r})"


ALL_IN = "its reading is of a running network: activity is added to the upper end only"

FIGURES = (
    "power",
    "idle_power",
    "dynamic_power",
    "energy_per_step",
    "energy_per_second_of_input",
    "energy_per_inference",
    "dynamic_energy_per_inference",
)


def _by(
    terms: tuple[Term, ...],
    kind: str,
    key: Callable[[Term], str],
    figure: Callable[[Term], Figure] = lambda term: term.power,
) -> dict[str, Figure]:
    """Return the sums of the terms of one kind, by ``key``."""
    found: dict[str, list[Figure]] = {}
    for term in terms:
        if term.kind == kind:
            found.setdefault(key(term), []).append(figure(term))
    return {name: total(figures, "µW") for name, figures in found.items()}


def _weights(figures: Mapping[str, Figure]) -> dict[str, float]:
    """Return the numbers that shares are computed from: upper ends if nothing is added else."""
    likely = {n: f.high if f.nominal is None else f.nominal for n, f in figures.items()}
    return likely if any(likely.values()) else {name: f.high for name, f in figures.items()}


def _shares(layers: tuple[LayerCost, ...]) -> Bars:
    """Return each layer's part of the dynamic power as a chart."""
    parts = [(layer.name, layer.dynamic_share or 0.0) for layer in layers]
    return Bars(
        title="share of the dynamic power",
        bars=tuple((name, part, share(part)) for name, part in parts),
    )


def _optional(figure: Figure | None) -> dict[str, Any] | None:
    return None if figure is None else figure.as_dict()


def _figures(figures: Mapping[str, Figure]) -> dict[str, dict[str, Any]]:
    return {name: figure.as_dict() for name, figure in figures.items()}
