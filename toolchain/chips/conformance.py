"""Conformance tests that every chip family passes, built in or installed.

The test file of a family provides what the checks need (networks that fit, networks at a limit and
one past it) and runs all checks::

    from toolchain.chips.conformance import Subject, parametrize_with_checks

    @parametrize_with_checks(Subject(chip="toy_chip", network=small, limits=LIMITS, ...))
    def test_contract(check):
        check()

Each check is a function of this module; its docstring states what it asserts. Checks of
capabilities that a family does not declare are skipped, and pytest prints the reason.
"""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Family, OnChip, Options
from toolchain.chips.load import family_of, load_chip, load_family
from toolchain.chips.training import Parameter, Tape, TrainableProgram
from toolchain.diagnostics import DeployError, Severity
from toolchain.hardware import SpecBase
from toolchain.ir import Graph, Input
from toolchain.runs import Recording

if TYPE_CHECKING:
    from _pytest.mark.structures import MarkDecorator

__all__ = ["CHECKS", "Limit", "Subject", "parametrize_with_checks"]

CAPABILITIES = ("session", "training", "sensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Two networks that test one limit of a chip.

    Attributes:
        at: returns a network exactly at the limit, which deploys.
        past: returns the same network one past the limit, which is refused.
        need, limit: the two numbers of the expected finding; None for a finding without numbers.
    """

    at: Callable[[], Graph]
    past: Callable[[], Graph]
    need: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A chip family under test, with the networks and inputs that the checks use.

    Attributes:
        chip: name of the chip.
        deploy: ``toolchain.deploy``, which this module may not import.
        network: returns a small network with dt that fits the chip; its layers have names of their
            own, none of them a default name of the toolchain.
        spikes: returns input counts (batch >= 3, time, *features) for which the outputs spike.
        limits: for each rule, its limit.
        faulty: returns a network that breaks several rules at once.
        faults: names of the rules that ``faulty`` breaks.
        twin: slow reference simulator; takes program and counts, returns the output spikes
            (batch, time, outputs). None if there is none.
        events: returns event arrays, one per sample, and the equivalent counts; required if the
            family takes events.
        encode: takes a deployment, returns the counts that its sensor front end produces; required
            if the family declares ``sensors``.
    """

    chip: str
    deploy: Callable[..., Any]
    network: Callable[[], Graph]
    spikes: Callable[[], Array]
    limits: Mapping[str, Limit]
    faulty: Callable[[], Graph]
    faults: tuple[str, ...]
    twin: Callable[[Any, Array], Array] | None = None
    events: Callable[[], tuple[list[Array], Array]] | None = None
    encode: Callable[[Any], Array] | None = None
    _deployments: dict[str, Any] = field(default_factory=dict, init=False, compare=False)

    def __str__(self) -> str:
        """Return the name of the chip."""
        return self.chip

    @property
    def spec(self) -> SpecBase:
        """Specification of the chip."""
        return load_chip(self.chip)

    @property
    def family(self) -> Family:
        """Chip family, bound to the chip."""
        return family_of(self.spec)

    @property
    def deployment(self) -> Any:
        """Deployment of the network, calibrated on its spikes and computed once."""
        if "deployment" not in self._deployments:
            self._deployments["deployment"] = self.deploy(
                self.network(), self.chip, calibration=self.spikes()
            )
        return self._deployments["deployment"]

    def refusal(self, graph: Graph) -> DeployError:
        """Return the error with which a network is refused.

        Raises:
            AssertionError: the network deploys.
        """
        try:
            self.deploy(graph, self.chip)
        except DeployError as refused:
            return refused
        raise AssertionError(f"{self.chip} accepts a network that it should refuse")


def parametrize_with_checks(*subjects: Subject) -> MarkDecorator:
    """Return the pytest decorator that passes every check of every subject as ``check``."""
    import pytest

    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(partial(check, subject), id=f"{subject}-{check.__name__}")
            for subject in subjects
            for check in CHECKS
        ],
    )


def _skip(reason: str) -> None:
    import pytest

    pytest.skip(reason)


# ---- the contract itself ----


def check_members(subject: Subject) -> None:
    """Check that the family implements every member of the contract with the same arguments."""
    family, on_chip = subject.family, subject.deployment.on_chip
    assert subject.spec.family == family.NAME
    assert family.TITLE
    assert issubclass(family.SPEC, SpecBase)
    assert isinstance(subject.spec, family.SPEC)
    assert issubclass(family.OPTIONS, Options)
    assert isinstance(family.OPTIONS(), Options), "every option has a default"
    assert family.QUANTIZERS
    assert len({*family.QUANTIZERS}) == len(family.QUANTIZERS)
    assert set(family.TIMINGS) <= {"clocked", "event"}
    assert set(family.CAPABILITIES) <= set(CAPABILITIES)
    for contract, implementation in ((Family, family), (OnChip, on_chip)):
        for name, member in inspect.getmembers(contract, inspect.isfunction):
            if not name.startswith("_"):
                wanted = [*inspect.signature(member).parameters][1:]
                got = [*inspect.signature(getattr(implementation, name)).parameters]
                assert got[: len(wanted)] == wanted, f"{name} takes {got}, the contract {wanted}"


def check_other_chips_are_refused(subject: Subject) -> None:
    """Check that ``Family.on`` refuses a chip of another family and names it."""
    other = _Other.model_construct(name="other_chip", family="other", title="Other")
    message = _refusal_message(lambda: load_family(subject.spec.family).on(other))
    assert "other_chip" in message


def check_default_options_keep_the_network(subject: Subject) -> None:
    """Check that default options ask for no other network and report nothing."""
    graph = subject.network()
    assert subject.family.configured(graph, subject.family.OPTIONS()) == (graph, ())


class _Other(SpecBase):
    """Chip of a family that is not installed."""


def check_program_is_frozen(subject: Subject) -> None:
    """Check that all arrays of the program are read-only."""
    arrays, _ = subject.deployment.on_chip.pack()
    assert not [name for name, array in arrays.items() if array.flags.writeable]


# ---- rules ----


def check_limits(subject: Subject) -> None:
    """Check that a network at each limit deploys and one past it is refused with its numbers."""
    for rule, limit in subject.limits.items():
        subject.deploy(limit.at(), subject.chip)
        errors = [e for e in subject.refusal(limit.past()).diagnostics if e.rule == rule]
        assert errors, f"{rule}: one past its limit, no error"
        found = errors[0]
        assert found.severity is Severity.ERROR
        assert (found.need, found.limit) == (limit.need, limit.limit), f"{rule}: {found}"
        if limit.limit is not None:
            assert subject.chip in found.message or subject.chip in found.source, f"{found}"
            assert f"{limit.limit:g}" in found.message.replace(" ", "").replace(" ", ""), f"{found}"


def check_all_findings_at_once(subject: Subject) -> None:
    """Check that a refusal reports the errors of every broken rule, in its data and its text."""
    refused = subject.refusal(subject.faulty())
    assert {*subject.faults} <= {finding.rule for finding in refused.diagnostics}
    for finding in refused.diagnostics:
        assert f"error[{finding.rule}] {finding.where}: {finding.message}" in str(refused)


def check_findings_name_layers(subject: Subject) -> None:
    """Check that every finding names a layer of the user's network, or ``network``."""
    graph = subject.faulty()
    for finding in subject.refusal(graph).diagnostics:
        assert finding.where in {*graph.nodes, "network"}, f"{finding}"


def check_hints_help(subject: Subject) -> None:
    """Check that accepting the names of a remedy removes its finding and adds no new error."""
    graphs = [subject.faulty(), *(limit.past() for limit in subject.limits.values())]
    for graph in graphs:
        before = subject.refusal(graph).diagnostics
        places = {(error.rule, error.where) for error in before}
        for error in before:
            for remedy in error.remedies:
                if remedy.allow:
                    left = _errors(subject, graph, remedy.allow)
                    assert (error.rule, error.where) not in left, f"{remedy} does not help: {error}"
                    assert left <= places, f"{remedy} adds {left - places}"


def _errors(subject: Subject, graph: Graph, allow: tuple[str, ...]) -> set[tuple[str, str]]:
    try:
        subject.deploy(graph, subject.chip, allow=allow)
    except DeployError as refused:
        return {(error.rule, error.where) for error in refused.diagnostics}
    return set()


def check_unknown_names_are_refused(subject: Subject) -> None:
    """Check that an unknown approximation or quantizer is refused with the valid names."""
    graph = subject.network()
    for wrong, valid in (
        ({"allow": ("no_such->thing",)}, subject.family.APPROXIMATIONS),
        ({"quantizer": "no_such"}, subject.family.QUANTIZERS),
    ):
        message = _refusal_message(partial(subject.deploy, graph, subject.chip, **wrong))
        assert all(name in message for name in valid), message


# ---- simulation ----


def check_outputs_fire(subject: Subject) -> None:
    """Check that the outputs spike, in the float reference and on the chip."""
    d, spikes = subject.deployment, subject.spikes()
    assert d.reference(spikes).spikes.any()
    assert d.simulate(spikes).spikes.any()


def check_simulation_equals_twin(subject: Subject) -> None:
    """Check that the simulator equals the slow reference simulator for every quantizer."""
    if subject.twin is None:
        _skip(f"{subject.chip}: no slow reference simulator was given")
        return
    spikes = subject.spikes()
    for method in subject.family.QUANTIZERS:
        d = subject.deploy(subject.network(), subject.chip, calibration=spikes, quantizer=method)
        wanted = subject.twin(d.program, spikes)
        np.testing.assert_array_equal(d.simulate(spikes).spikes, wanted, err_msg=method)


def check_deterministic(subject: Subject) -> None:
    """Check that results do not depend on repetition, batch, thread or a second deployment."""
    d, spikes = subject.deployment, subject.spikes()
    whole = d.simulate(spikes, record=True)
    _assert_same(d.simulate(spikes, record=True), whole)
    for sample in range(len(spikes)):
        alone = d.simulate(spikes[sample : sample + 1], record=True)
        _assert_same(alone, _sample(whole, sample))
    with ThreadPoolExecutor(4) as pool:
        for run in pool.map(lambda _: d.simulate(spikes, record=True), range(8)):
            _assert_same(run, whole)
    again = subject.deploy(subject.network(), subject.chip, calibration=spikes)
    assert str(again.program) == str(d.program)


def check_recording(subject: Subject) -> None:
    """Check that a recording has every neuron layer by name, as (batch, time, *features)."""
    d, spikes = subject.deployment, subject.spikes()
    run = d.simulate(spikes, record=True)
    assert run.spikes.shape[:2] == spikes.shape[:2]
    assert run.spikes.ndim == 3
    assert set(run.layers) == set(d.placement)
    for layer in run.layers.values():
        assert layer.spikes.shape[:2] == spikes.shape[:2]
        assert layer.v_mem.shape == layer.spikes.shape
    assert not d.simulate(spikes).layers


def check_inputs_of_any_type(subject: Subject) -> None:
    """Check that counts give the same spikes in every integer, boolean and float type."""
    d, spikes = subject.deployment, np.minimum(subject.spikes(), 1)
    wanted = d.simulate(spikes).spikes
    for dtype in ("bool", "u1", "i2", "i8", "f2", "f4", "f8"):
        got = d.simulate(spikes.astype(dtype)).spikes
        np.testing.assert_array_equal(got, wanted, err_msg=dtype)
        np.testing.assert_array_equal(np.asarray(spikes), np.minimum(subject.spikes(), 1))


def check_bad_input(subject: Subject) -> None:
    """Check that input that is not counts of the right shape raises ValueError with a message."""
    d, spikes = subject.deployment, subject.spikes()
    bad = {
        "negative": -np.maximum(spikes, 1),
        "fractions": spikes + 0.5,
        "not a number": np.full(spikes.shape, np.nan),
        "infinite": np.full(spikes.shape, np.inf),
        "text": spikes.astype(str),
        "one channel more": np.concatenate([spikes, spikes], axis=2),
        "no time": spikes[0, 0],
        "complex": spikes.astype(complex),
    }
    for what, array in bad.items():
        assert _refusal_message(partial(d.simulate, array)), f"{what}: no message"
    if "event" not in subject.family.TIMINGS:
        assert _refusal_message(partial(d.simulate, spikes, timing="event"))
    assert _refusal_message(partial(d.simulate, spikes, timing="no such timing"))


def check_no_samples_and_no_steps(subject: Subject) -> None:
    """Check that an empty batch and zero timesteps give empty results of the right shape."""
    d, spikes = subject.deployment, subject.spikes()
    width = d.simulate(spikes).spikes.shape[2]
    assert d.simulate(spikes[:0]).spikes.shape == (0, spikes.shape[1], width)
    assert d.simulate(spikes[:, :0]).spikes.shape == (len(spikes), 0, width)


def check_events(subject: Subject) -> None:
    """Check that event arrays give the same spikes as the equivalent counts."""
    if "event" not in subject.family.TIMINGS:
        _skip(f"{subject.chip}: its family accepts no event arrays")
        return
    assert subject.events is not None, "a family that takes events must provide some"
    events, counts = subject.events()
    d = subject.deployment
    np.testing.assert_array_equal(d.simulate(events).spikes, d.simulate(counts).spikes)


def check_session(subject: Subject) -> None:
    """Check that a session fed in pieces equals one whole run, in every timing.

    Pieces may be empty; a wrong one changes nothing; a reset, a copy and a saved state work.
    """
    if "session" not in subject.family.CAPABILITIES:
        _skip(f"{subject.chip}: its family declares no sessions")
        return
    d, spikes = subject.deployment, subject.spikes()
    cuts = [0, 1, 1, spikes.shape[1] // 3, spikes.shape[1]]
    for timing in subject.family.TIMINGS:
        whole = d.simulate(spikes, record=True, timing=timing)
        session = d.session(batch=len(spikes), timing=timing, record=True)
        for _ in range(2):
            parts = []
            for start, stop in pairwise(cuts):
                assert _refusal_message(partial(session.run, -1 - spikes[:, start:]))
                assert session.steps == start
                parts.append(session.run(spikes[:, start:stop]))
                assert parts[-1].first == start
                session = copy.deepcopy(session)
            _assert_same(_joined(parts), whole)
            assert session.state == whole.state
            session.reset()
        first = d.simulate(spikes[:, : cuts[3]], timing=timing)
        rest = d.simulate(spikes[:, cuts[3] :], timing=timing, state=first.state)
        np.testing.assert_array_equal(rest.spikes, whole.spikes[:, cuts[3] :])
        _check_saved_state(session, first.state, d.session(timing=timing, batch=len(spikes) + 1))


def _check_saved_state(session: Any, state: Any, other: Any) -> None:
    """Check that a state survives its files, and that the session of another batch refuses it."""
    session.restore(state)
    with tempfile.TemporaryDirectory() as folder:
        saved = session.save(Path(folder) / "state")
        session.reset()
        session.load(saved)
    assert session.state == state
    assert _refusal_message(partial(other.restore, state))
    assert other.steps == 0


def _joined(parts: Sequence[Recording]) -> Recording:
    """Return one recording of consecutive pieces."""
    last = parts[-1]

    def whole(arrays: Iterable[Array | None]) -> Any:
        found = [array for array in arrays if array is not None]
        return np.concatenate(found, axis=1) if found else None

    layers = {
        name: replace(
            layer,
            **{
                part.name: whole(getattr(each.layers[name], part.name) for each in parts)
                for part in fields(layer)
            },
        )
        for name, layer in last.layers.items()
    }
    return replace(last, spikes=whole(each.spikes for each in parts), layers=layers)


def check_training(subject: Subject) -> None:
    """Check that a trainable program equals ``simulate`` with any integers, in every timing.

    Its parameters are arrays of the quantized graph; the forward pass with the graph's integers,
    and with others, equals the program that is lowered from them. Gradients are finite, repeat, and
    do not depend on threads, on other passes meanwhile or on the division of the batch.
    """
    if "training" not in subject.family.CAPABILITIES:
        _skip(f"{subject.chip}: its family declares no training")
        return
    d, spikes = subject.deployment, subject.spikes()
    program = d.on_chip.trainable(d.quantized)
    assert set(program.layers) >= set(d.placement)
    assert set(program.outputs) <= set(program.layers)
    started = {n: _integers_of(d.quantized, each) for n, each in program.parameters.items()}
    assert started
    others = {n: _moved(each, started[n]) for n, each in program.parameters.items()}
    again = _with_integers(d, others)
    for timing in subject.family.TIMINGS:
        for values, on_chip in ((started, d.on_chip), (others, again)):
            wanted = on_chip.simulate(spikes, timing=timing).spikes
            for gradient in (False, True):
                tape = _forward(program, values, spikes, timing, gradient)
                np.testing.assert_array_equal(_outputs(program, tape), wanted, err_msg=timing)
            _check_gradients(program, values, spikes, timing)


def _integers_of(quantized: Graph, parameter: Parameter) -> Array:
    """Return the integers of a parameter, which the graph may have once for all neurons."""
    found = getattr(quantized[parameter.node], parameter.field)
    found = np.zeros((), np.int64) if found is None else found
    found = found if found.size <= prod(parameter.shape) else found.ravel()[0]
    values = np.broadcast_to(found, parameter.shape).astype(np.int64)
    assert not np.any(values % parameter.step), f"{parameter.name}: {parameter}"
    assert np.all((values >= parameter.low) & (values <= parameter.high)), f"{parameter}"
    return values


def _moved(parameter: Parameter, values: Array) -> Array:
    """Return other values: a few steps away, where these are not 0, and within the range."""
    steps = np.random.default_rng(0).integers(-3, 4, values.shape) * parameter.step
    moved = np.clip(values + steps, parameter.low, parameter.high)
    return np.asarray(np.where(values == 0, values, moved))


def _with_integers(d: Any, values: Mapping[str, Array]) -> OnChip:
    """Return the program of the quantized graph with other integers."""
    quantized = d.quantized
    for name, value in values.items():
        node, _, field_name = name.rpartition(".")
        old = getattr(quantized[node], field_name)
        new = np.broadcast_to(value, old.shape) if value.size < old.size else value
        quantized = quantized.replace({node: replace(quantized[node], **{field_name: new})})
    options = d.on_chip.options() or d.family.OPTIONS()
    placed: OnChip = d.family.lower(quantized, options).place(options)[0]
    return placed


def _forward(
    program: TrainableProgram,
    values: Mapping[str, Array],
    spikes: Array,
    timing: str,
    gradient: bool,
    threads: int | None = None,
) -> Tape:
    return program.run(
        values, spikes, layers=program.outputs, timing=timing, gradient=gradient, threads=threads
    )


def _outputs(program: TrainableProgram, tape: Tape) -> Array:
    parts = [tape.values[name] for name in program.outputs]
    return np.concatenate([p.reshape(*p.shape[:2], prod(p.shape[2:])) for p in parts], axis=2)


def _check_gradients(
    program: TrainableProgram, values: Mapping[str, Array], spikes: Array, timing: str
) -> None:
    def gradients(tape: Tape, samples: slice = slice(None)) -> Mapping[str, Array]:
        outer = {}
        for name in program.outputs:
            shape = (len(spikes), *tape.values[name].shape[1:])
            outer[name] = np.random.default_rng(0).normal(size=shape).astype(np.float32)[samples]
        return program.gradients(tape, outer, wanted=(*program.parameters,), of_input=True)

    tape = _forward(program, values, spikes, timing, gradient=True, threads=1)
    first = gradients(tape)
    assert first.keys() == {*program.parameters, "input"}
    for name, found in first.items():
        shape = spikes.shape if name == "input" else program.parameters[name].shape
        assert found.dtype == np.float32, name
        assert prod(found.shape) == prod(shape), name
        assert np.isfinite(found).all(), name
    other = _forward(program, values, spikes[::-1], timing, gradient=True, threads=3)
    gradients(other)
    for repeated in (tape, _forward(program, values, spikes, timing, True, 3)):
        for name, found in gradients(repeated).items():
            np.testing.assert_array_equal(found, first[name], err_msg=name)
    parts = [
        gradients(_forward(program, values, spikes[part], timing, True), part)
        for part in (slice(0, 1), slice(1, None))
    ]
    for name in program.parameters:
        total = parts[0][name] + parts[1][name]
        most = float(np.abs(first[name]).max(initial=1e-6))
        np.testing.assert_allclose(total, first[name], atol=1e-4 * most, err_msg=name)


def check_trained_deployments(subject: Subject) -> None:
    """Check the module of a deployment: it equals ``simulate``, and so does what it trains.

    The deployment of trained integers can be saved, loaded and trained on.
    """
    if "training" not in subject.family.CAPABILITIES:
        _skip(f"{subject.chip}: its family declares no training")
        return
    d, spikes = subject.deployment, subject.spikes()
    for timing in subject.family.TIMINGS:
        try:
            module = d.as_module(timing=timing)
        except ImportError as missing:
            _skip(f"{subject.chip}: {missing}")
            return
        wanted = d.simulate(spikes, timing=timing).spikes
        np.testing.assert_array_equal(module(spikes).numpy(force=True), wanted)
        _descend(module, spikes)
        trained = module.deployment()
        notes = [change.note for entry in trained.ledger.entries for change in entry.changes]
        assert any("trained" in note for note in notes)
        with tempfile.TemporaryDirectory() as folder:
            again = type(d).load(trained.save(Path(folder) / "trained"))
        wanted = module(spikes).numpy(force=True)
        for each in (trained, again):
            np.testing.assert_array_equal(each.simulate(spikes, timing=timing).spikes, wanted)
            np.testing.assert_array_equal(
                each.as_module(timing=timing)(spikes).numpy(force=True), wanted
            )


def _descend(module: Any, spikes: Array) -> None:
    """Change every parameter along its gradient, by some steps at most."""
    module(spikes).sum().backward()
    for name, parameter in module.named_parameters():
        most = float(parameter.grad.abs().max())
        step = module.latents()[name].parameter.step
        if most:
            parameter.data -= 5 * step * parameter.grad / most
    module.zero_grad()


def check_sensors(subject: Subject) -> None:
    """Check that ``simulate`` takes the counts of the sensor front end."""
    if "sensors" not in subject.family.CAPABILITIES:
        _skip(f"{subject.chip}: its family declares no sensors")
        return
    assert subject.encode is not None, "a family that declares sensors must provide encode"
    d = subject.deployment
    encoded = subject.encode(d)
    assert d.simulate(encoded).spikes.shape[:2] == encoded.shape[:2]


# ---- names, estimates, configuration ----


def check_names(subject: Subject) -> None:
    """Check that placement, resources, counts and ledger use the user's layer names."""
    d, graph = subject.deployment, subject.deployment.graph
    (entry,) = graph.of(Input)
    activity = d.on_chip.activity(subject.spikes())
    assert activity.layers[0].name == entry
    assert [layer.name for layer in activity.layers[1:]] == [*d.placement]
    assert set(d.placement) <= set(graph.nodes)
    assert {row.layer for row in d.resources()} <= {*graph.nodes, "network"}
    assert {line.layer for line in d.ledger.entries} <= {*graph.nodes, "network"}


def check_resources(subject: Subject) -> None:
    """Check that every resource is within its limit and has a unit."""
    rows = subject.deployment.resources()
    assert rows
    for row in rows:
        assert 0 <= row.used <= row.limit, f"{row}"
        assert row.unit
        assert row.resource


def check_counts(subject: Subject) -> None:
    """Check that counted spikes equal those of the recording for every type of raster."""
    d, spikes = subject.deployment, subject.spikes()
    run, steps = d.simulate(spikes, record=True), spikes.shape[0] * spikes.shape[1]
    for given in (spikes, spikes.astype(np.float32)):
        counted = d.on_chip.activity(given)
        assert np.isclose(counted.layers[0].spikes_per_step, spikes.sum() / steps)
        for layer in counted.layers[1:]:
            fired = run.layers[layer.name].spikes.sum(dtype=np.int64) / steps
            assert np.isclose(layer.spikes_per_step, fired), layer.name


def check_estimate(subject: Subject) -> None:
    """Check that estimates from spikes, rates, recording and calibration have unit and basis."""
    d, spikes = subject.deployment, subject.spikes()
    rates = dict.fromkeys((d.graph.input, *d.placement), 10.0)
    run = d.simulate(spikes, record=True)
    for estimate in (
        d.estimate(spikes),
        d.estimate(rates=rates, steps=10),
        d.estimate(recording=run),
        d.estimate(),
    ):
        power = estimate.power
        assert power.unit == "µW"
        assert power.basis
        assert 0 <= power.low <= power.high
        json.dumps(estimate.as_dict())
        assert str(estimate)
    assert d.estimate(spikes).activity == d.estimate(recording=run).activity
    assert _refusal_message(partial(d.estimate, rates={"no such layer": 1.0}, steps=10))


def check_configuration(subject: Subject) -> None:
    """Check that the configuration is reproducible plain JSON and is one of the files."""
    on_chip = subject.deployment.on_chip
    text = json.dumps(on_chip.config(), sort_keys=True, allow_nan=False)
    assert text == json.dumps(on_chip.config(), sort_keys=True, allow_nan=False)
    files = on_chip.files()
    assert all(isinstance(data, bytes) for data in files.values())
    assert json.loads(files["config.json"]) == json.loads(text)


# ---- saving, copying, printing ----


def check_save_and_load(subject: Subject) -> None:
    """Check that a saved deployment loads as the same program and simulates the same."""
    d, spikes = subject.deployment, subject.spikes()
    with tempfile.TemporaryDirectory() as folder:
        again = type(d).load(d.save(Path(folder) / "saved"))
    assert str(again.program) == str(d.program)
    assert again.config() == d.config()
    assert again.diagnostics == d.diagnostics
    assert again.ledger == d.ledger
    assert again.chip == d.chip
    _assert_same(again.simulate(spikes, record=True), d.simulate(spikes, record=True))


def check_pickling(subject: Subject) -> None:
    """Check that a pickled or copied deployment simulates the same and is read-only."""
    d, spikes = subject.deployment, subject.spikes()
    wanted = d.simulate(spikes).spikes
    for other in (pickle.loads(pickle.dumps(d)), copy.deepcopy(d), copy.copy(d)):
        np.testing.assert_array_equal(other.simulate(spikes).spikes, wanted)
        arrays, _ = other.on_chip.pack()
        assert not [name for name, array in arrays.items() if array.flags.writeable]


def check_bad_programs_are_refused(subject: Subject) -> None:
    """Check that packed data which is not a program of the family raises ValueError."""
    arrays, metadata = subject.deployment.on_chip.pack()
    unpack = subject.family.unpack
    first = next(iter(arrays))
    rest = {name: array for name, array in arrays.items() if name != first}
    assert _refusal_message(partial(unpack, rest, metadata))
    assert _refusal_message(partial(unpack, arrays, {**metadata, "no such field": 1}))
    assert _refusal_message(partial(unpack, arrays, {}))


def check_sheets(subject: Subject) -> None:
    """Check that deployment, ledger, estimate and comparison print and have equal sheets."""
    d, spikes = subject.deployment, subject.spikes()
    for result in (d, d.ledger, d.estimate(spikes), d.compare(spikes)):
        assert str(result)
        assert result.sheet() == result.sheet()
    assert all(name in str(d) for name in d.placement)


def check_compare(subject: Subject) -> None:
    """Check that a comparison covers every layer and that every layer has a lag."""
    d, spikes = subject.deployment, subject.spikes()
    found = d.compare(spikes)
    assert {layer.name for layer in found.layers} == set(d.placement)
    assert set(d.family.lags(d.quantized)) >= set(d.placement)


# ---- helpers ----


def _refusal_message(call: Callable[[], object]) -> str:
    """Return the message of the ValueError that ``call`` raises.

    Raises:
        AssertionError: ``call`` raises none, or one without a message.
    """
    try:
        call()
    except ValueError as fault:
        if str(fault):
            return str(fault)
        raise AssertionError("refused without a message") from fault
    raise AssertionError("not refused")


def _arrays(run: Recording) -> Iterator[tuple[str, Array]]:
    yield "spikes", run.spikes
    for name, layer in run.layers.items():
        for part in fields(layer):
            if getattr(layer, part.name) is not None:
                yield f"{name}.{part.name}", getattr(layer, part.name)


def _assert_same(got: Recording, wanted: Recording) -> None:
    one, other = dict(_arrays(got)), dict(_arrays(wanted))
    assert one.keys() == other.keys()
    for name, array in other.items():
        np.testing.assert_array_equal(one[name], array, err_msg=name)


def _sample(run: Recording, sample: int) -> Recording:
    part = slice(sample, sample + 1)
    layers = {
        name: replace(
            layer,
            **{
                f.name: getattr(layer, f.name)[part]
                for f in fields(layer)
                if getattr(layer, f.name) is not None
            },
        )
        for name, layer in run.layers.items()
    }
    return replace(run, spikes=run.spikes[part], layers=layers)


CHECKS: tuple[Callable[[Subject], None], ...] = tuple(
    check for name, check in list(globals().items()) if name.startswith("check_")
)
"""All checks, in the order of this module."""
