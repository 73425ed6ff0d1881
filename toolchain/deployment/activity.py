"""Activity that an estimate is computed from: of spikes, of rates, of a recording, or given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from toolchain.arrays import Array
from toolchain.chips.load import family_of
from toolchain.deployment.random_input import activity_under
from toolchain.deployment.store import Parts
from toolchain.report import plain, visible
from toolchain.runs import Activity, InputSpikes, Recording

__all__ = ["activity_for"]

OF_RATES = "assumed: mean rates of every layer"


def activity_for(
    parts: Parts,
    run: Callable[[InputSpikes], Activity],
    *,
    spikes: InputSpikes | None,
    rates: Mapping[str, float] | None,
    input_rate: float | Array | None,
    steps: int | None,
    seed: int,
    recording: Recording | None,
    activity: Activity | None,
) -> tuple[Activity, str]:
    """Return the activity that the arguments of ``Deployment.estimate`` describe, and its origin.

    Args:
        parts: the deployment.
        run: simulates spikes on its chip and returns their activity.
        spikes, rates, input_rate, steps, seed, recording, activity: see ``Deployment.estimate``.
            Without any of them the activity is that of the calibration spikes.

    Returns:
        The activity, and its origin as a sentence: empty if it was counted on the user's spikes.

    Raises:
        ValueError: several arguments or none, or one that does not describe an activity.
    """
    _check_kind("recording", recording, Recording)
    _check_kind("activity", activity, Activity)
    given = [x for x in (spikes, rates, input_rate, recording, activity) if x is not None]
    if len(given) > 1:
        raise ValueError("give only one of spikes, rates, input_rate, recording and activity")
    if spikes is not None:
        return run(spikes), ""
    if rates is not None:
        return _of_rates(parts, rates, steps), OF_RATES
    if input_rate is not None:
        return _of_input_rate(parts, run, input_rate, steps, seed)
    if recording is not None:
        return _of_recording(recording), ""
    counted = activity or parts.calibration_activity
    if counted is None:
        raise ValueError(
            "give spikes, input_rate or rates: there are no counts of calibration spikes"
        )
    return counted, ""


def _check_kind(name: str, value: Any, kind: type) -> None:
    """Check that an optional argument is a result of that class; ValueError otherwise."""
    if not isinstance(value, kind | None):
        raise ValueError(f"{name} must be of {kind.__name__}, got {type(value).__name__}")


def _of_rates(parts: Parts, rates: Mapping[str, float], steps: int | None) -> Activity:
    if steps is None:
        raise ValueError("rates need steps, the timesteps of one inference")
    if plain(steps) == 0:
        raise ValueError("steps is 0: one inference has at least one timestep")
    if not isinstance(rates, Mapping):
        raise ValueError(f"rates must be spike/s by layer name, got {rates!r:.80}")
    names = [parts.graph.input, *parts.on_chip.placement()]
    if wrong := sorted(set(names) ^ set(rates)):
        text = (
            f"rates need {', '.join(names)}; missing or unknown: {wrong}; to simulate the "
            "layers from a rate of the input give input_rate="
        )
        raise ValueError(visible(text, one_line=True))
    return parts.on_chip.activity_at(rates, plain(steps))


def _of_input_rate(
    parts: Parts,
    run: Callable[[InputSpikes], Activity],
    rate: float | Array,
    steps: int | None,
    seed: int,
) -> tuple[Activity, str]:
    known = parts.calibration_activity
    if steps is None and known is not None:
        steps = known.steps
    if steps is None:
        raise ValueError("input_rate needs steps, the timesteps of one inference")
    return activity_under(run, family_of(parts.on_chip.chip), parts.graph, rate, steps, seed)


def _of_recording(recording: Recording) -> Activity:
    if not recording.spikes.size:
        raise ValueError(f"the recording has shape {recording.spikes.shape}, which has no timestep")
    if recording.activity is None:
        raise ValueError("the recording has no counts: simulate with record=True and a dt")
    return recording.activity
