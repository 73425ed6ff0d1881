"""Refused networks: `repair` makes each of them fit, as brute force over the remedies does."""

import sys
import warnings

import pytest

from tests.refused import Refused, convolutional, dense
from toolchain import DeployError, DeployWarning, deploy, repair
from toolchain.chips.load import family_of, load_chip
from toolchain.pipeline import exact_passes

pytestmark = pytest.mark.campaign

STATES = 300


def network(name, chip, rules, build, *sizes, **options):
    return Refused(name, chip, rules, lambda: build(*sizes, **options))


CASES = [
    *(
        network(f"fan-out {n}", "xylo_a2", ("fan_out",), dense, n, recurrent=True, seed=n)
        for n in (72, 90, 110, 140, 170)
    ),
    *(
        network(f"fan-out forward {n}", "xylo_a2", ("fan_out",), dense, 60, n, seed=n)
        for n in (80, 120)
    ),
    *(
        network(f"memory {n}", chip, ("fan_out_memory",), dense, n, recurrent=True, seed=n)
        for n, chip in ((220, "xylo_imu"), (240, "xylo_a3"))
    ),
    network("memory forward", "xylo_a3", ("fan_out_memory",), dense, 120, 340, 20, seed=1),
    *(
        network(f"windows {n}", chip, ("input_expansion",), dense, n, seed=n)
        for n, chip in ((140, "xylo_imu"), (200, "xylo_a3"), (300, "xylo_imu"))
    ),
    network("windows of two", "xylo_a3", ("output_expansion",), dense, 90, 160, seed=2),
    *(
        network(f"hidden {n}", chip, ("hidden_neurons",), dense, n, samples=120, seed=n)
        for n, chip in ((1040, "xylo_a2"), (560, "xylo_imu"))
    ),
    *(
        network(f"synapses {n}", "xylo_imu", ("synapse",), dense, n, synapses=2, seed=n)
        for n in (50, 70)
    ),
    network("synapses and windows", "xylo_imu", ("synapse",), dense, 150, synapses=2, seed=3),
    *(
        network(f"channels {n}", "xylo_a2", ("input_channels",), dense, 60, channels=n, seed=n)
        for n in (20, 24)
    ),
    network("reset", "xylo_a2", ("reset",), dense, 60, reset="value", seed=4),
    network("comparison", "xylo_a2", ("comparison",), dense, 60, compare="gt", seed=5),
    network("kernels", "speck2f", ("kernel_memory",), convolutional, 64, 256, seed=6),
    network("wide kernels", "speck2f", ("kernel_memory",), convolutional, 96, 128, 96, seed=7),
    network("neurons", "speck2f", ("neuron_memory",), convolutional, 80, 8, side=32, seed=8),
    network("layers", "speck2f", ("core_count",), convolutional, *(8,) * 9, seed=9),
    network("leak", "speck2f", ("integrate_and_fire",), convolutional, 8, 16, alpha_mem=0.9),
    network("loop", "speck2f", ("feed_forward",), convolutional, 8, 16, recurrent=True),
    network("places", "speck2f", ("placement",), convolutional, 60, 60, 60, 60, seed=10),
]


def found_by_force(graph, chip):
    """Return True if `deploy` takes the network after some sequence of edits and approximations."""
    family = family_of(load_chip(chip))
    waiting, seen = [(graph, ())], set()
    while waiting:
        graph, allow = waiting.pop()
        graph = family.shape(exact_passes(graph))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeployWarning)
                deploy(graph, chip, allow=allow, quantizer=family.QUANTIZERS[1])
        except DeployError as refused:
            # no approximation changes a program, so its errors have no names to accept
            of_graph = {error.rule for error in family.check_graph(graph)}
            for error in refused.diagnostics:
                remedies = error.remedies if error.rule in of_graph else ()
                names = [(graph, remedy.allow) for remedy in remedies if remedy.allow]
                edited = [(edit.graph, ()) for edit in family.edits(graph, error)]
                for changed, more in (*names, *edited):
                    accepted = tuple(sorted({*allow, *more}))
                    if (key := (str(changed), accepted)) not in seen and len(seen) < STATES:
                        seen.add(key)
                        waiting.append((changed, accepted))
        else:
            return True
    return False


def test_there_are_thirty_networks_of_more_than_six_reasons():
    assert len({case.name for case in CASES}) >= 30
    assert len({rule for case in CASES for rule in case.rules}) > 6


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.chip} {case.name}")
def test_what_can_be_repaired_is_repaired(case):
    graph, spikes, labels = case.build()
    with pytest.raises(DeployError) as refused:
        deploy(graph, case.chip)
    assert {*case.rules} <= {error.rule for error in refused.value.diagnostics}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeployWarning)
        found = repair(graph, case.chip, spikes, labels, tries=3, epochs=8)
    chosen = found.chosen
    after = "" if chosen.after is None else f"{100 * chosen.after:.1f}"
    sys.stdout.write(
        f"\nfloat {100 * found.reference:.1f}, before {100 * chosen.before:.1f}, trained {after:5} "
        f"{'within' if found.within else 'nearest'}, {chosen.weights} of "
        f"{found.attempts[0].weights} weights, {chosen.name} "
    )
    assert found_by_force(graph, case.chip)
    assert all(e.severity != "error" for e in found.deployment.on_chip.check())
