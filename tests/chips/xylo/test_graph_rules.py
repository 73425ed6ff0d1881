"""What Xylo takes of a network and what it refuses, and that what it takes can be lowered."""

import numpy as np
import pytest

from tests.chips.xylo import contract
from tests.chips.xylo.graphs import in_whole_numbers, layered, lif, readout, sequence, wired
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.rules.graph import check_graph, topology_is_sound
from toolchain.chips.xylo.rules.topology import TOPOLOGY
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
    Neuron,
    Output,
    SumPool2d,
)

A2, IMU, A3 = map(load_chip, ("xylo_a2", "xylo_imu", "xylo_a3"))
SQUARE = np.eye(2)
OVERVIEW = "\n  source: {}.yaml, Rockpool documentation, Xylo family overview (published)"
HINT = '\n  hint: accept an approximation: allow=("{}",)'
LIMITS = "\n  source: {}.yaml, Rockpool documentation, Deploy to Xylo, table of limits (published)"


def errors(graph, chip=A2):
    return [str(f) for f in check_graph(graph, chip) if f.severity is Severity.ERROR]


def remarks(graph, chip=A2):
    """Warnings and remarks, but for the one on the lag."""
    found = [f for f in check_graph(graph, chip) if f.severity is not Severity.ERROR]
    return [str(f) for f in found if f.rule != "lag"]


def one(chip=A2, *, last=None, dt=1e-3, **changes):
    """Two inputs, one hidden layer ``h`` with ``changes``, one output layer ``out``."""
    layers = {"h": lif(2, **changes), "out": readout(2, **last or {})}
    rows = 2 * max(1, layers["h"].synapses)
    out = 2 * max(1, layers["out"].synapses)
    connections = [("input", "h", np.ones((rows, 2))), ("h", "out", np.ones((out, 2)))]
    return wired(2, layers, connections, dt=dt)


# ---- neurons ----

TAKEN = {
    "as trained for it": {},
    "reset amount that is the threshold": {"v_threshold": 0.5, "reset_amount": 0.5},
    "thresholds and decays of their own": {
        "v_threshold": [0.5, 2.0],
        "alpha_mem": [0.5, 0.9],
        "alpha_syn": [[0.5], [0.75]],
    },
    "bias of the neurons": {"bias": [0.1, -0.2]},
    "two synapses": {"synapses": 2},
    "the longest time constant": {"alpha_mem": 1 - 2.0**-15},
}


@pytest.mark.parametrize("changes", TAKEN.values(), ids=TAKEN)
def test_a_neuron_that_the_chip_has_is_taken(changes):
    assert errors(one(**changes)) == []


REFUSED = [
    (
        "reset to a value",
        {"reset": "value"},
        "error[reset] h: resets by 'value'; xylo_a2 supports 'subtract' only"
        + HINT.format("reset_to_zero->subtract"),
    ),
    (
        "additive reset",
        {"reset": "additive"},
        "error[reset] h: resets by 'additive'; xylo_a2 supports 'subtract' only"
        + HINT.format("reset_to_zero->subtract"),
    ),
    (
        "reset to zero in the next step",
        {"reset": "value", "reset_when": "next_erase_all"},
        "error[reset] h: resets by 'value, next_erase_all'; xylo_a2 supports 'subtract' only"
        + HINT.format('reset_to_zero->subtract", "delayed_reset->same_step').replace(",)", ")"),
    ),
    (
        "reset to another value",
        {"reset": "value", "v_reset": 0.1},
        "error[reset] h: resets by 'value'; xylo_a2 supports 'subtract' only",
    ),
    (
        "no reset",
        {"reset": "none"},
        ("error[reset] h: resets by 'none'; xylo_a2 supports 'subtract' only"),
    ),
    (
        "reset in the next step",
        {"reset_when": "next_undecayed"},
        "error[reset] h: resets by 'subtract, next_undecayed'; xylo_a2 supports 'subtract' only"
        + HINT.format("delayed_reset->same_step"),
    ),
    (
        "reset of another size",
        {"reset_amount": [1.0, 2.0]},
        "error[reset] h: reset_amount differs from v_threshold; xylo_a2 stores one value for both",
    ),
    (
        "fires above",
        {"compare": "gt"},
        "error[comparison] h: spikes only when v_mem > v_threshold; xylo_a2 when v_mem >= "
        "v_threshold" + HINT.format("gt->ge"),
    ),
    (
        "rest elsewhere",
        {"v_leak": [0.0, 0.1]},
        "error[potentials] h: v_leak must be 0 on xylo_a2",
    ),
    (
        "start elsewhere",
        {"v_init": 0.5},
        "error[potentials] h: v_init must be 0 on xylo_a2" + HINT.format("v_init->zero"),
    ),
    (
        "spikes of another size",
        {"spike_scale": 2.0},
        "error[potentials] h: spike_scale must be 1 on xylo_a2",
    ),
    (
        "a gain that is left",
        {"gain": 3.0},
        "error[potentials] h: gain must be 1 on xylo_a2",
    ),
    (
        "a floor",
        {"v_min": -1.0},
        "error[potentials] h: has a membrane floor (v_min), xylo_a2 has none"
        + HINT.format("v_min->none"),
    ),
    (
        "no synapse",
        {"alpha_syn": None},
        "error[synapse] h: has no synaptic current; xylo_a2 cannot disable its synapses (train "
        "with tau_syn)" + HINT.format("no_synapse->fastest_synapse"),
    ),
    (
        "three synapses",
        {"synapses": 3},
        "error[synapse] h: has 3 synaptic currents per neuron, xylo_a2 has 2"
        + OVERVIEW.format("xylo_a2"),
    ),
    (
        "decay before the input",
        {"syn_order": "decay_add"},
        "error[synapse] h: decays its current before the input is added, xylo_a2 after it; "
        "weights cannot compensate for the difference",
    ),
    (
        "no leak",
        {"alpha_mem": 1.0},
        "error[time_constants] h: tau_mem is infinite, the state never decays, xylo_a2 has shifts "
        "of 1 to 15" + LIMITS.format("xylo_a2") + HINT.format("no_leak->slowest_leak"),
    ),
    (
        "too long",
        {"alpha_mem": [0.5, 1 - 2.0**-16]},
        "error[time_constants] h: tau_mem in 1 of 2 neurons (1) is 65.5355 s, which needs a bit "
        "shift of 16.0, xylo_a2 has shifts of 1 to 15"
        + LIMITS.format("xylo_a2")
        + HINT.format("no_leak->slowest_leak"),
    ),
    (
        "too long a synapse",
        {"alpha_syn": [1 - 2.0**-17]},
        "error[time_constants] h: tau_syn is 131.071 s, which needs a bit shift of 17.0, xylo_a2 "
        "has shifts of 1 to 15" + LIMITS.format("xylo_a2") + HINT.format("no_leak->slowest_leak"),
    ),
    (
        "a current that is cleared",
        {"alpha_syn": [0.0]},
        "error[time_constants] h: tau_syn is 0, the current is cleared before it reaches the "
        "membrane, xylo_a2 has shifts of 1 and more"
        + LIMITS.format("xylo_a2")
        + HINT.format("fast_leak->fastest_leak"),
    ),
    (
        "too short",
        {"alpha_mem": [np.exp(-2.0), 0.5]},
        "error[time_constants] h: tau_mem in 1 of 2 neurons (0) is 0.0005 s, which needs a bit "
        "shift of 0.21, xylo_a2 has shifts of 0, which keeps nothing, and of 1 and more"
        + LIMITS.format("xylo_a2")
        + HINT.format("fast_leak->fastest_leak"),
    ),
    (
        "one spike per step",
        {"max_spikes": 1},
        "error[spike_caps] h: is capped at 1 spike per step, xylo_a2 at 31"
        + LIMITS.format("xylo_a2")
        + HINT.format("spike_cap->chip_cap"),
    ),
]


@pytest.mark.parametrize(
    ("changes", "text"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_neuron_that_the_chip_lacks_is_refused_and_still_lowered(changes, text):
    graph = one(**changes)
    assert errors(graph) == [text]
    assert topology_is_sound(graph, A2)
    if changes.get("synapses", 1) == 1:
        contract.lower(contract.quantize(graph, A2, None)[0], A2)


def test_a_time_constant_without_dt_is_told_in_shifts():
    (text,) = errors(one(alpha_mem=1 - 2.0**-16, dt=None))
    assert "tau_mem needs a bit shift of 16.0, xylo_a2" in text


def test_an_infinite_time_constant_has_no_number():
    (finding,) = [f for f in check_graph(one(alpha_mem=1.0), A2) if f.rule == "time_constants"]
    assert finding.need is None


def test_two_synapses_are_for_hidden_neurons_of_audio_chips():
    assert errors(one(synapses=2), A3) == []
    assert errors(one(synapses=2), IMU) == [
        "error[synapse] h: has 2 synaptic currents per neuron, xylo_imu has 1"
        + OVERVIEW.format("xylo_imu")
        + "\n  hint: xylo_a2 or xylo_a3 can do this"
    ]
    assert errors(one(last={"synapses": 2})) == [
        "error[synapse] out: has 2 synaptic currents per neuron, xylo_a2 has 1"
        + OVERVIEW.format("xylo_a2")
    ]


def test_an_output_neuron_spikes_once_a_step():
    assert remarks(one()) == []
    assert remarks(one(last={"max_spikes": None})) == [
        "info[spike_caps] out: exact while no neuron spikes more than once per step"
        + LIMITS.format("xylo_a2")
    ]


def test_a_hidden_neuron_without_cap_is_remarked_on():
    assert remarks(one(max_spikes=None)) == [
        "info[spike_caps] h: exact while no neuron spikes more than 31 times per step"
        + LIMITS.format("xylo_a2")
    ]


def test_a_bias_of_the_weights_is_refused():
    graph = one()
    biased = Linear(weight=SQUARE, bias=[0.0, 0.5])
    assert errors(graph.replace({"input_h": Linear(weight=SQUARE, bias=[0.0, 0.0])})) == []
    assert errors(graph.replace({"input_h": biased})) == [
        "error[linear_bias] input_h: has a bias that acts through the synapse of the next layer; "
        "xylo_a2 adds biases to the membrane (train with bias=False and a bias on the neurons)"
        + HINT.format("linear_bias->neuron_bias")
    ]


# ---- how layers are joined ----


def chain(*nodes):
    """Nodes one after the other between an input of two channels and an output."""
    named = {f"n{i}": node for i, node in enumerate(nodes)}
    return Graph.chain({"input": Input(shape=(2,)), **named, "output": Output()}, dt=1e-3)


def dense():
    return Linear(weight=SQUARE)


def rules_of(graph, chip=A2):
    """Names of the rules that refuse ``graph``, with the layers they blame."""
    found = [f for f in check_graph(graph, chip) if f.severity is Severity.ERROR]
    assert topology_is_sound(graph, chip) == (not {f.rule for f in found} & NAMES)
    return [(f.rule, f.where) for f in found]


NAMES = {rule.__name__ for rule in TOPOLOGY}


def test_a_convolution_is_refused_by_name():
    nodes = {
        "input": Input(shape=(1, 2, 2)),
        "conv": Conv2d(weight=np.ones((1, 1, 1, 1))),
        "spikes": lif(2, shape=(1, 2, 2)),
        "flat": Flatten(),
        "fc": Linear(weight=np.ones((1, 4))),
        "out": readout(1),
        "output": Output(),
    }
    assert errors(Graph.chain(nodes)) == [
        "error[node_kinds] conv: Conv2d does not exist on xylo_a2, which has dense weights and "
        "spiking neurons; as dense weights it would take 4 x 4 weights"
    ]


def test_a_flattening_within_the_network_is_refused_by_name():
    nodes = {"input": Input(shape=(4,)), "w": Linear(weight=np.ones((4, 4)))}
    nodes |= {"spikes": lif(4), "flat": Flatten(), "fc": Linear(weight=np.ones((1, 4)))}
    assert errors(Graph.chain({**nodes, "out": readout(1), "output": Output()})) == [
        "error[node_kinds] flat: Flatten does not exist on xylo_a2, which has dense weights and "
        "spiking neurons"
    ]


@pytest.mark.parametrize(
    "node",
    [
        Identity(was="Dropout"),
        BatchNorm(mean=[0, 0], var=[1, 1], gamma=[1, 1], beta=[0, 0], eps=1e-5),
    ],
    ids=lambda node: type(node).__name__,
)
def test_what_no_pass_removed_is_refused_by_name(node):
    graph = chain(dense(), lif(2), dense(), readout(2), node)
    assert ("node_kinds", "n4") in rules_of(graph)


def test_pools_are_refused_by_name():
    for node in (SumPool2d(kernel=2, stride=2), AvgPool2d(kernel=2, stride=2)):
        nodes = {"input": Input(shape=(1, 4, 4)), "pool": node, "flat": Flatten()}
        nodes |= {"fc": Linear(weight=np.ones((2, 4))), "h": lif(2), "w": dense()}
        graph = Graph.chain({**nodes, "out": readout(2), "output": Output()})
        assert ("node_kinds", "pool") in rules_of(graph)


def test_an_image_that_is_flattened_first_is_taken():
    nodes = {"input": Input(shape=(1, 2, 2)), "flat": Flatten()}
    nodes |= {"fc": Linear(weight=np.ones((2, 4))), "h": lif(2), "w": dense()}
    assert rules_of(Graph.chain({**nodes, "out": readout(2), "output": Output()})) == []


def test_weights_and_neurons_alternate():
    graph = chain(dense(), dense(), lif(2), lif(2), dense(), readout(2))
    assert errors(graph) == [
        "error[weights_before_neurons] n1: is driven by 'n0' (Linear); xylo_a2 alternates between "
        "weights and spiking neurons",
        "error[weights_before_neurons] n3: is driven by 'n2' (Neuron); xylo_a2 alternates between "
        "weights and spiking neurons",
    ]


def test_neurons_right_behind_the_input_are_refused():
    assert rules_of(chain(lif(2), dense(), readout(2))) == [("weights_before_neurons", "n0")]


def test_a_sum_that_feeds_itself_is_refused():
    nodes = {"input": Input(shape=(2,)), "w": dense(), "sum": Add(), "h": lif(2), "v": dense()}
    edges = [("input", "w"), ("w", "sum"), Edge("sum", "sum", 1), ("sum", "h"), ("h", "v")]
    edges += [("v", "out"), ("out", "output")]
    graph = Graph(nodes | {"out": readout(2), "output": Output()}, edges)
    assert rules_of(graph) == [("weights_before_neurons", "h")]


def test_weights_that_drive_two_layers_are_refused():
    nodes = {"input": Input(shape=(2,)), "w": dense(), "a": lif(2), "b": lif(2), "both": Add()}
    edges = [("input", "w"), ("w", "a"), ("w", "b"), ("a", "both"), ("b", "both"), ("both", "v")]
    nodes |= {"v": dense(), "out": readout(2), "output": Output()}
    graph = Graph(nodes, [*edges, ("v", "out"), ("out", "output")])
    text = "shares its weights with another layer; xylo_a2 stores them once for each (use two "
    assert errors(graph) == [f"error[own_weights] {n}: {text}layers)" for n in ("a", "b")]


def test_weights_that_read_two_layers_are_taken():
    nodes = {"input": Input(shape=(2,)), "u": dense(), "w": dense(), "a": lif(2), "b": lif(2)}
    edges = [("input", "u"), ("input", "w"), ("u", "a"), ("w", "b"), ("a", "both"), ("b", "both")]
    nodes |= {"both": Add(), "v": dense(), "out": readout(2), "output": Output()}
    graph = Graph(nodes, [*edges, ("both", "v"), ("v", "out"), ("out", "output")])
    assert rules_of(graph) == []
    program = contract.lower(in_whole_numbers(graph), A2)
    assert program.weights_out.tolist() == [[0, 0], [0, 0], [127, 0], [0, 127]]
    assert program.aliases == ((2,), (3,), (), ())


def twice(first, second, post="h"):
    """Layer ``h`` gets the input through both weights."""
    nodes = {"input": Input(shape=(2,)), "a": first, "b": second, "sum": Add(), "h": lif(2)}
    edges = [("input", "a"), ("input", "b"), ("a", "sum"), ("b", "sum"), ("sum", post)]
    nodes |= {"v": dense(), "out": readout(2), "output": Output()}
    return Graph(nodes, [*edges, ("h", "v"), ("v", "out"), ("out", "output")])


def test_two_weights_between_one_pair_are_refused():
    assert errors(twice(dense(), dense())) == [
        "error[one_connection] b: connects 'input' and 'h' as 'a' does; xylo_a2 stores one "
        "weight for each pair of neurons"
    ]


def test_one_weight_that_counts_twice_is_refused():
    nodes = {"input": Input(shape=(2,)), "u": dense(), "w": dense(), "a": lif(2), "b": lif(2)}
    nodes |= {"ab": Add(), "aab": Add(), "v": dense(), "out": readout(2), "output": Output()}
    edges = [("input", "u"), ("input", "w"), ("u", "a"), ("w", "b"), ("a", "ab"), ("b", "ab")]
    edges += [("ab", "aab"), ("a", "aab"), ("aab", "v"), ("v", "out"), ("out", "output")]
    assert errors(Graph(nodes, edges)) == [
        "error[one_connection] v: connects 'a' and 'out' twice; xylo_a2 stores one weight for "
        "each pair of neurons"
    ]


def test_several_outputs_are_read():
    layers = {"h": lif(2), "a": readout(2), "b": readout(2)}
    connections = [("input", "h", SQUARE), ("h", "a", SQUARE), ("h", "b", SQUARE)]
    graph = wired(2, layers, connections, outputs=["a", "b"])
    assert errors(graph) == []
    graph = wired(2, layers, [*connections, ("a", "b", SQUARE)], outputs=["a", "b"])
    assert any("readout_layer] a: feeds other layers" in found for found in errors(graph))


def test_the_output_is_a_spiking_layer():
    assert errors(chain(dense(), lif(2), dense())) == [
        "error[readout_layer] n2: is the network's output but not a layer of neurons; the outputs "
        "of xylo_a2 are neurons, of which spikes, membranes or currents are read"
    ]
    nodes = {"input": Input(shape=(2,)), "w": dense(), "h": lif(2), "output": Output()}
    straight = Graph(nodes, [("input", "w"), ("w", "h"), ("input", "output")])
    assert rules_of(straight) == [("readout_layer", "input")]


def test_the_output_layer_feeds_nothing():
    connections = [("input", "h", SQUARE), ("h", "out", SQUARE), ("out", "h", SQUARE, 1)]
    graph = wired(2, {"h": lif(2), "out": readout(2)}, connections)
    assert errors(graph) == [
        "error[readout_layer] out: feeds other layers; output neurons of xylo_a2 cannot (train "
        "with a separate readout layer)"
    ]


def test_a_recurrent_output_layer_is_refused():
    connections = [("input", "h", SQUARE), ("h", "out", SQUARE), ("out", "out", SQUARE, 1)]
    graph = wired(2, {"h": lif(2), "out": readout(2)}, connections)
    assert rules_of(graph) == [("readout_layer", "out")]


def test_a_network_without_hidden_layer_is_refused():
    assert errors(chain(dense(), readout(2))) == [
        "error[readout_layer] n1: is driven by the input through 'n0'; output neurons of xylo_a2 "
        "receive spikes of hidden neurons only"
    ]


def test_every_fault_of_a_network_is_found_at_once():
    graph = one(reset="value", compare="gt", v_min=-1.0, max_spikes=1, alpha_mem=1.0)
    graph = graph.replace({"input_h": Linear(weight=SQUARE, bias=[1.0, 1.0])})
    found = [f.rule for f in check_graph(graph, A2)]
    assert found == [
        "reset",
        "comparison",
        "potentials",
        "time_constants",
        "linear_bias",
        "spike_caps",
        "lag",
    ]


# ---- what is sound can be lowered ----

VARIANTS = [
    {},
    {"reset": "value", "v_reset": 0.3},
    {"reset_when": "next_undecayed"},
    {"compare": "gt"},
    {"v_leak": 0.1, "v_init": 0.2, "v_min": -3.0},
    {"alpha_mem": 1.0},
    {"alpha_mem": 0.0},
    {"alpha_syn": None},
    {"alpha_syn": [1.0]},
    {"alpha_syn": [0.0]},
    {"bias": 50.0},
    {"v_threshold": 1e-9},
    {"v_threshold": 1e9},
    {"max_spikes": 1},
    {"max_spikes": None},
    {"spike_scale": 0.5, "gain": 2.0},
    {"syn_order": "decay_add"},
]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("chip", [A2, IMU], ids=lambda chip: chip.name)
def test_a_sound_network_is_lowered_whatever_its_neurons(chip, seed):
    rng = np.random.default_rng(seed)
    graph, _ = layered(rng)
    changed = {}
    for name, node in graph.of(Neuron).items():
        variant = VARIANTS[int(rng.integers(len(VARIANTS)))]
        kind = readout if name == "out" else lif
        changed[name] = kind(node.shape[0], **variant)
    graph = graph.replace(changed)
    assert topology_is_sound(graph, chip)
    program = contract.lower(contract.quantize(graph, chip, None)[0], chip)
    assert {p.name for p in program.populations} == set(changed)
    contract.check(program, chip)


def tangle(rng):
    """Layers of any kind joined in any way: mostly sense, some of it nonsense."""
    nodes, edges = {"input": Input(shape=(2,))}, []
    for index in range(int(rng.integers(4, 12))):
        name, known = f"n{index}", [*nodes]
        pre = known[-1] if rng.random() < 0.7 else known[int(rng.integers(len(known)))]
        fitting = lif(2) if isinstance(nodes[pre], Linear) else dense()
        if rng.random() < 0.2 and len(known) > 2:
            other = known[int(rng.integers(len(known)))]
            if other == pre:
                continue
            nodes[name] = Add()
            edges.append(Edge(other, name))
        else:
            odd = (lif(2), dense(), Flatten())[int(rng.integers(3))]
            nodes[name] = odd if rng.random() < 0.05 else fitting
        edges.append(Edge(pre, name, int(rng.random() < 0.1)))
    names = [*nodes][1:]
    for name in names:
        pre = names[int(rng.integers(len(names)))]
        new = all((e.pre, e.post) != (pre, name) for e in edges)
        if isinstance(nodes[name], Add) and new and rng.random() < 0.3:
            edges.append(Edge(pre, name, int(rng.integers(1, 3))))
    last = [n for n in names if isinstance(nodes[n], Neuron)] or names
    return Graph(nodes | {"output": Output()}, [*edges, Edge(last[-1], "output")])


def sums_itself(graph):
    """Whether a sum feeds itself without a weight or neuron on the way."""
    plain = {n for n in graph.nodes if isinstance(graph[n], (Add, Flatten))}
    steps = {n: {e.post for e in graph.post(n)} & plain for n in plain}
    for _ in plain:
        steps = {n: found.union(*(steps[m] for m in found)) for n, found in steps.items()}
    return any(n in found for n, found in steps.items())


def test_any_network_is_refused_with_reasons_or_lowered():
    lowered = refused = 0
    for seed in range(1500):
        graph = tangle(np.random.default_rng(seed))
        if sums_itself(graph):
            continue
        found = check_graph(graph, A2)
        if topology_is_sound(graph, A2):
            contract.lag(graph)
            program = contract.lower(in_whole_numbers(graph), A2)
            assert program.hidden == 2 * (len(graph.of(Neuron)) - 1)
            lowered += 1
        else:
            assert any(f.severity is Severity.ERROR for f in found)
            refused += 1
    assert min(lowered, refused) > 100


def test_a_sequence_is_taken_on_every_chip():
    for chip in (A2, IMU, A3):
        assert errors(sequence(16, 63, 63, 63, 4), chip) == []
