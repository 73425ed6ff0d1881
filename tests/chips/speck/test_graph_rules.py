"""What Speck takes of a network and what it refuses, and that what it takes can be lowered."""

import numpy as np
import pytest

from tests.chips.speck import contract
from tests.chips.speck.graphs import branching, conv, iaf, one
from toolchain.chips.load import load_chip
from toolchain.chips.speck.rules.graph import check_graph, topology_is_sound
from toolchain.chips.speck.rules.neurons import NEURONS
from toolchain.chips.speck.rules.topology import TOPOLOGY
from toolchain.diagnostics import Severity
from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    MembraneReadout,
    Neuron,
    Output,
    Scale,
    SumPool2d,
)

CHIP = load_chip("speck2f")
CHIPS = ("speck2f", "speck2e", "speck2c_mini", "speck2d_mini", "dynapcnn")
NAMES = {rule.__name__ for rule in TOPOLOGY}


def errors(graph):
    return [str(f) for f in check_graph(graph, CHIP)]


def rules_of(graph):
    """Names of the rules that refuse ``graph``, with the layers they blame."""
    found = [(f.rule, f.where) for f in check_graph(graph, CHIP)]
    assert topology_is_sound(graph, CHIP) == (not {rule for rule, _ in found} & NAMES)
    return found


# ---- what a layer computes ----

TAKEN = {
    "as trained for it": {},
    "reset to zero": {"reset": "value"},
    "additive reset to zero": {"reset": "additive"},
    "reset amount that is the threshold": {"reset_amount": 1.0},
    "one threshold written out": {"v_threshold": np.full((1, 4, 4), 2.0)},
    "no floor": {"v_min": None},
    "floor at rest": {"v_min": 0.0},
    "start of its own": {"v_init": 0.25},
}


@pytest.mark.parametrize("changes", TAKEN.values(), ids=TAKEN)
def test_a_neuron_that_the_chip_has_is_taken(changes):
    assert errors(one(changes)) == []


RESETS = (
    "speck2f subtracts the threshold or returns to zero, in the same step\n"
    "  hint: train with a reset that subtracts the threshold: supported"
)
AS_IAF = "\n  hint: train as IAF (no decay, no synaptic current): supported"
OR_ACCEPT = '; or accept an approximation: allow=("{}",)'
REFUSED = [
    (
        "exponential leak",
        {"alpha_mem": 0.9},
        "error[integrate_and_fire] spk: decays exponentially; neurons of speck2f only integrate"
        + AS_IAF
        + OR_ACCEPT.format("exponential_leak->linear_leak"),
    ),
    (
        "synaptic current",
        {"alpha_syn": [0.5]},
        "error[integrate_and_fire] spk: has a synaptic current; neurons of speck2f have none"
        + AS_IAF,
    ),
    ("no reset", {"reset": "none"}, f"error[reset] spk: resets by 'none'; {RESETS}"),
    (
        "reset elsewhere",
        {"reset": "value", "v_reset": 0.1},
        f"error[reset] spk: resets by 'value'; {RESETS}",
    ),
    (
        "additive reset elsewhere",
        {"reset": "additive", "v_reset": 0.1},
        f"error[reset] spk: resets by 'additive'; {RESETS}",
    ),
    (
        "reset of another size",
        {"reset_amount": 0.5},
        f"error[reset] spk: resets by 'subtract'; {RESETS}",
    ),
    (
        "reset in the next step",
        {"reset_when": "next_undecayed"},
        f"error[reset] spk: resets by 'subtract, next_undecayed'; {RESETS}"
        + OR_ACCEPT.format("delayed_reset->same_step"),
    ),
    (
        "fires above",
        {"compare": "gt"},
        "error[comparison] spk: spikes only when v_mem > v_threshold; speck2f when v_mem >= "
        "v_threshold\n"
        "  hint: train with spikes at v_mem >= v_threshold: supported" + OR_ACCEPT.format("gt->ge"),
    ),
    (
        "thresholds of their own",
        {"v_threshold": np.array([1.0, 2.0, 2.0, 1.0])},
        "error[one_number_a_core] spk: has 2 different values of v_threshold, a core of speck2f "
        "has one\n"
        "  hint: one value for all, such as the mean (v_threshold 1.5, v_min -1), is supported",
    ),
    (
        "thresholds of their own and no floor",
        {"v_threshold": np.array([1.0, 2.0, 2.0, 1.0]), "v_min": None},
        "error[one_number_a_core] spk: has 2 different values of v_threshold, a core of speck2f "
        "has one\n  hint: one value for all, such as the mean (v_threshold 1.5), is supported",
    ),
    (
        "floors of their own",
        {"v_min": np.array([-1.0, -2.0, -3.0, -1.0])},
        "error[one_number_a_core] spk: has 3 different values of v_min, a core of speck2f has one\n"
        "  hint: one value for all, such as the mean (v_threshold 1, v_min -1.75), is supported",
    ),
    (
        "floor above rest",
        {"v_min": 0.5},
        "error[membrane_floor] spk: has a membrane floor (v_min) of 0.5, speck2f supports 0 or "
        "less\n  hint: v_min -1 is supported",
    ),
    (
        "rest elsewhere",
        {"v_leak": 0.1},
        "error[plain_neurons] spk: v_leak must be 0 on speck2f\n"
        "  hint: train with v_leak 0: supported",
    ),
    (
        "bias of the neurons",
        {"bias": 0.1},
        "error[plain_neurons] spk: bias must be 0 on speck2f\n  hint: train with bias 0: supported",
    ),
    (
        "spikes of another size",
        {"spike_scale": 2.0},
        "error[plain_neurons] spk: spike_scale must be 1 on speck2f\n"
        "  hint: train with spike_scale 1: supported",
    ),
    (
        "a gain that is left",
        {"gain": 2.0},
        "error[plain_neurons] spk: gain must be 1 on speck2f\n  hint: train with gain 1: supported",
    ),
    (
        "one spike per step",
        {"max_spikes": 1},
        "error[plain_neurons] spk: is capped at 1 spike per step; speck2f has no such cap\n"
        "  hint: train with any number of spikes per step (MultiSpike): supported"
        + OR_ACCEPT.format("spike_cap->chip_cap"),
    ),
]


@pytest.mark.parametrize(
    ("changes", "text"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_neuron_that_the_chip_lacks_is_refused_and_still_lowered(changes, text):
    graph = one(changes)
    assert errors(graph) == [text]
    assert topology_is_sound(graph, CHIP)
    contract.lower(contract.quantize(graph, CHIP, None)[0], CHIP)


GAPS = [
    (
        {"weight": np.ones((4, 1, 3, 3)), "groups": 2},
        (2, 5, 5),
        "2 groups written as one dense 3x3 kernel, exactly: 36 of 72 weights are zeros. It takes "
        "128 kernel words instead of 64",
    ),
    (
        {"weight": np.ones((1, 1, 2, 2)), "dilation": 3},
        (1, 5, 5),
        "dilation 3x3 written as one dense 4x4 kernel, exactly: 12 of 16 weights are zeros. It "
        "takes 16 kernel words instead of 4",
    ),
    (
        {"weight": np.ones((1, 1, 3, 1)), "padding": (1, 0)},
        (1, 5, 5),
        "kernel 3x1 written as one dense 3x3 kernel, exactly: 6 of 9 weights are zeros. It takes "
        "16 kernel words instead of 4",
    ),
    (
        {"weight": np.ones((4, 2, 4, 5))},
        (2, 4, 5),
        "kernel 4x5 written as one dense 5x5 kernel, exactly: 40 of 200 weights are zeros. It "
        "takes 256 kernel words instead of 256",
    ),
]


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize(("conv", "shape", "text"), GAPS, ids=[case[2][:12] for case in GAPS])
def test_what_a_core_has_no_field_for_is_written_out_and_its_cost_told(name, conv, shape, text):
    chip = load_chip(name)
    graph = one(weight=Conv2d(**conv), shape=shape)
    (finding,) = check_graph(graph, chip)
    assert finding.severity is Severity.INFO
    assert str(finding) == (
        f"info[dense_kernel] conv: {text}, and on {name} each zero is an update too\n"
        f"  source: {chip.cite(chip.limits.kernel_size)}"
    )
    core = contract.lower(contract.quantize(graph, chip, None)[0], chip).cores[0]
    assert core.kernel_words == finding.need
    assert core.weight.shape[2] == core.weight.shape[3]
    assert core.output_shape == graph.shape("spk")


def test_a_kernel_that_has_no_square_stays_for_the_rules_to_refuse():
    graph = one(weight=Conv2d(weight=np.ones((1, 1, 3, 2))), shape=(1, 5, 5))
    assert errors(graph) == []
    program = contract.lower(contract.quantize(graph, CHIP, None)[0], CHIP)
    assert [str(f) for f in contract.check(program, CHIP)] == [
        "error[square_kernel] conv: kernel 3x2, speck2f supports square kernels only\n"
        "  source: speck2f.yaml, sinabs documentation, Speck overview (published)\n"
        "  hint: a 3x3 kernel is supported, with a map of 3x3"
    ]


def test_a_hint_is_given_only_where_it_was_tried_and_helps():
    rows = one(weight=conv(2, 1), neuron={"v_leak": 0.5, "bias": 1.0, "max_spikes": 2})
    hints = {f.hint for f in check_graph(rows, CHIP)}
    retrained = (
        "train with v_leak 0 and bias 0 and any number of spikes per step (MultiSpike): supported"
    )
    assert hints == {
        retrained,
        retrained + OR_ACCEPT.format("spike_cap->chip_cap"),
    }
    average = AvgPool2d(kernel=2, stride=2)
    found = check_graph(chain(conv(1, 1), FULL, average, conv(1, 1), HALF), CHIP)
    assert [f.hint for f in found] == ["SumPool2d is supported; its output is 4 times as large"]
    # a sum would be the output all the same, which no pool can be
    assert [f.hint for f in check_graph(chain(conv(1, 1), FULL, average), CHIP)] == ["", ""]


def test_a_network_that_breaks_five_rules_gets_five_errors_by_layer():
    lif = {"alpha_mem": 0.9, "compare": "gt", "v_leak": 0.1, "reset": "none", "v_min": 0.5}
    assert rules_of(one(lif)) == [
        ("integrate_and_fire", "spk"),
        ("reset", "spk"),
        ("comparison", "spk"),
        ("membrane_floor", "spk"),
        ("plain_neurons", "spk"),
    ]


def test_a_bias_of_the_weights_is_taken():
    assert errors(one(weight=conv(1, 1, bias=[0.5]))) == []


# ---- how layers are joined ----


def chain(*nodes, shape=(1, 8, 8)):
    named = {f"n{i}": node for i, node in enumerate(nodes)}
    return Graph.chain({"input": Input(shape=shape), **named, "output": Output()}, dt=1e-3)


def pool(kernel=2, stride=None):
    return SumPool2d(kernel=kernel, stride=stride or kernel)


FULL, HALF = iaf((1, 8, 8)), iaf((1, 4, 4))


def test_pools_before_weights_are_taken_but_not_at_the_input():
    assert errors(chain(conv(1, 1), FULL, pool(), conv(1, 1), HALF)) == []
    assert rules_of(chain(pool(), conv(1, 1), HALF)) == [("input_pooling", "n0")]


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (pool((2, 1)), "pools (2, 1) with stride (2, 1)"),
        (pool(2, 1), "pools (2, 2) with stride (1, 1)"),
        (pool(1, 2), "pools (1, 1) with stride (2, 2)"),
        (pool(4, (4, 2)), "pools (4, 4) with stride (4, 2)"),
    ],
)
def test_pools_are_squares_side_by_side(node, text):
    size = node.output_shape((1, 8, 8))
    graph = chain(conv(1, 1), FULL, node, conv(1, 1), iaf(size))
    assert errors(graph) == [
        f"error[square_pooling] n2: {text}; speck2f pools squares with the stride of their side"
    ]
    contract.lower(contract.quantize(graph, CHIP, None)[0], CHIP)


def test_a_pool_before_the_output_is_refused():
    assert errors(chain(conv(1, 1), FULL, pool())) == [
        "error[spikes_between_cores] n2: is the network's output; speck2f is read out at spiking "
        "neurons, before any pooling"
    ]


def test_an_average_that_no_weight_took_up_is_refused():
    average = AvgPool2d(kernel=2, stride=2)
    assert errors(chain(conv(1, 1), FULL, average))[0] == (
        "error[node_kinds] n2: is an average whose factor cannot be folded into a following "
        "weight; speck2f only sums"
    )


@pytest.mark.parametrize(
    "node",
    [
        Identity(was="Dropout"),
        BatchNorm(mean=[0], var=[1], gamma=[1], beta=[0], eps=1e-5),
        MembraneReadout(shape=(1, 8, 8)),
        Flatten(),
    ],
    ids=lambda node: type(node).__name__,
)
def test_what_no_pass_removed_is_refused_by_name(node):
    kind = type(node).__name__
    text = (
        f"error[node_kinds] n2: {kind} does not exist on speck2f, whose cores convolve, integrate "
        "and fire, and sum-pool"
    )
    assert text in errors(chain(conv(1, 1), FULL, node))


def test_a_factor_that_no_weight_can_take_is_refused_by_name():
    factor = Scale(scale=np.arange(1.0, 65).reshape(1, 8, 8))
    assert errors(chain(conv(1, 1), factor, FULL))[0] == (
        "error[node_kinds] n1: is a factor that cannot be folded into a neighbouring weight; "
        "speck2f has none"
    )


def test_rows_of_inputs_are_no_maps():
    nodes = {"input": Input(shape=(2,)), "fc": Linear(weight=np.eye(2)), "spk": iaf((2,))}
    graph = Graph.chain({**nodes, "output": Output()})
    assert (
        "error[feature_maps] input: has shape (2,); speck2f needs (channels, height, width)"
    ) in errors(graph)
    assert errors(contract.shape(graph)) == []


def test_neurons_stand_behind_weights_of_their_own():
    assert errors(chain(conv(1, 1), FULL, FULL)) == [
        "error[weight_then_neuron] n2: is driven by 'n1' (Neuron); a core of speck2f has one "
        "weight layer of its own before its neurons"
    ]
    assert ("weight_then_neuron", "n1") in rules_of(chain(pool(), HALF))
    assert rules_of(chain(conv(1, 1), pool(), HALF)) == [
        ("weight_then_neuron", "n0"),
        ("weight_then_neuron", "n2"),
    ]


def test_weights_stand_before_neurons_of_their_own():
    assert errors(chain(conv(1, 1), conv(1, 1), FULL)) == [
        "error[weight_then_neuron] n0: is not followed by spiking neurons of its own, which a "
        "core of speck2f needs",
        "error[spikes_between_cores] n1: reads 'n0' (Conv2d); speck2f needs spiking neurons "
        "between two weight layers",
    ]
    assert rules_of(chain(conv(1, 1), FULL, conv(1, 1))) == [
        ("weight_then_neuron", "n2"),
        ("spikes_between_cores", "n2"),
    ]


def joined(edges, **nodes):
    nodes = {"input": Input(shape=(1, 8, 8)), **nodes, "output": Output()}
    return Graph(nodes, [Edge(*edge) for edge in edges])


def test_weights_that_drive_two_layers_are_refused():
    edges = [("input", "w"), ("w", "a"), ("w", "b"), ("a", "output")]
    graph = joined(edges, w=conv(1, 1), a=FULL, b=FULL)
    assert rules_of(graph) == [
        ("weight_then_neuron", "w"),
        ("weight_then_neuron", "a"),
        ("weight_then_neuron", "b"),
    ]


def test_layers_whose_weighted_inputs_are_summed_are_refused():
    edges = [("input", "u"), ("input", "w"), ("u", "s"), ("w", "s"), ("s", "a"), ("a", "output")]
    graph = joined(edges, u=conv(1, 1), w=conv(1, 1), s=Add(), a=FULL)
    assert ("weight_then_neuron", "a") in rules_of(graph)


def two(*more, **nodes):
    """Layers ``a`` and ``b`` on the input."""
    edges = [("input", "u"), ("input", "w"), ("u", "a"), ("w", "b")]
    return joined([*edges, *more], u=conv(1, 1), w=conv(1, 1), a=FULL, b=FULL, **nodes)


def test_spikes_of_two_cores_are_summed_by_one():
    edges = [("a", "s"), ("b", "s"), ("s", "v"), ("v", "c"), ("c", "output")]
    assert errors(two(*edges, s=Add(), v=conv(1, 1), c=FULL)) == []


def test_a_core_that_is_sent_to_twice_is_refused():
    edges = [("a", "s"), ("b", "s"), ("s", "t"), ("a", "t"), ("t", "v"), ("v", "c")]
    graph = two(*edges, ("c", "output"), s=Add(), t=Add(), v=conv(1, 1), c=FULL)
    assert errors(graph) == [
        "error[spikes_between_cores] v: reads 'a' twice, a core of speck2f can read a source once"
    ]


def test_recurrence_is_refused():
    edges = [("input", "s"), ("a", "s", 1), ("s", "w"), ("w", "a"), ("a", "output")]
    assert errors(joined(edges, s=Add(), w=conv(1, 1), a=FULL)) == [
        "error[feed_forward] s: receives 'a' from an earlier timestep; recurrent connections can "
        "dead-lock speck2f"
    ]


def test_a_sum_that_feeds_itself_is_refused():
    edges = [("input", "s"), ("s", "s", 1), ("s", "w"), ("w", "a"), ("a", "output")]
    assert rules_of(joined(edges, s=Add(), w=conv(1, 1), a=FULL)) == [
        ("spikes_between_cores", "w"),
        ("feed_forward", "s"),
    ]


def test_two_synapses_a_neuron_are_refused_with_reasons():
    nodes = {"input": Input(shape=(2,)), "fc": Linear(weight=np.ones((4, 2)))}
    nodes["spk"] = iaf((2,), alpha_syn=[0.5, 0.25])
    graph = contract.shape(Graph.chain({**nodes, "output": Output()}))
    assert ("integrate_and_fire", "spk") in rules_of(graph)
    assert not topology_is_sound(graph, CHIP)


def test_every_fault_of_a_layer_is_found_at_once():
    graph = one({"alpha_mem": 0.5, "reset": "none", "compare": "gt", "v_min": 0.5, "bias": 1.0})
    found = [f.rule for f in check_graph(graph, CHIP)]
    assert found == [
        "integrate_and_fire",
        "reset",
        "comparison",
        "membrane_floor",
        "plain_neurons",
    ]
    assert set(found) <= {rule.__name__ for rule in NEURONS}


# ---- what is sound can be lowered ----

VARIANTS = [
    {},
    {"reset": "value", "v_reset": 0.3},
    {"reset": "none"},
    {"compare": "gt"},
    {"v_leak": 0.1, "bias": 1e6, "v_init": 1e6},
    {"v_min": 5.0},
    {"v_min": None, "v_init": -40.0},
    {"alpha_mem": 0.3, "alpha_syn": [0.5]},
    {"v_threshold": 1e-9},
    {"v_threshold": 1e9},
    {"max_spikes": 1, "spike_scale": 0.5, "gain": 2.0},
]


@pytest.mark.parametrize("seed", range(80))
def test_a_sound_network_is_lowered_whatever_its_neurons(seed):
    rng = np.random.default_rng(seed)
    graph = branching(rng, biases=bool(rng.integers(2)))
    changed = {
        name: iaf(node.shape, **VARIANTS[int(rng.integers(len(VARIANTS)))])
        for name, node in graph.of(Neuron).items()
    }
    graph = graph.replace(changed)
    assert topology_is_sound(graph, CHIP)
    program = contract.lower(contract.quantize(graph, CHIP, None)[0], CHIP)
    assert {core.name for core in program.cores} == set(changed)
    contract.check(program, CHIP)
    contract.place(program, CHIP)


def tangle(rng):
    """Layers of any kind joined in any way: mostly sense, some of it nonsense."""
    shape = (2, 4, 4)
    nodes, edges = {"input": Input(shape=shape)}, []
    for index in range(int(rng.integers(2, 9))):
        name, known = f"n{index}", [*nodes]
        pre = known[-1] if rng.random() < 0.7 else known[int(rng.integers(len(known)))]
        fitting = iaf(shape) if isinstance(nodes[pre], Conv2d) else conv(2, 2, 3, padding=1)
        if rng.random() < 0.2 and len(known) > 2:
            other = known[int(rng.integers(len(known)))]
            if other == pre:
                continue
            nodes[name] = Add()
            edges.append(Edge(other, name))
        else:
            odd = (iaf(shape), conv(2, 2), pool(1))[int(rng.integers(3))]
            nodes[name] = odd if rng.random() < 0.1 else fitting
        edges.append(Edge(pre, name, int(rng.random() < 0.02)))
    last = [n for n, node in nodes.items() if isinstance(node, Neuron)] or ["input"]
    ends = {last[-1], last[int(rng.integers(len(last)))]}
    outputs = {f"output{i}": Output() for i in range(len(ends))}
    return Graph(nodes | outputs, [*edges, *zip(sorted(ends), outputs, strict=True)])


def test_any_network_is_refused_with_reasons_or_lowered():
    lowered = refused = 0
    for seed in range(800):
        graph = tangle(np.random.default_rng(seed))
        found = check_graph(graph, CHIP)
        if topology_is_sound(graph, CHIP):
            program = contract.lower(contract.quantize(graph, CHIP, None)[0], CHIP)
            assert len(program.cores) == len(graph.of(Neuron))
            lowered += 1
        else:
            assert found
            refused += 1
    assert min(lowered, refused) > 100
