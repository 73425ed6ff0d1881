"""The attribute surfaces of the vendor's configuration modules, as data, and stand-ins.

Names and types are those that sinabs' documentation, the vendor's manual and others' programs are
seen to set; nothing here was made with the vendor's library. A stand-in is as strict as the
vendor's bindings: it has these attributes only, and each takes its type only.
"""

VECTOR = dict.fromkeys("xy", "byte")
SHAPE = {"feature_count": "int", "size": VECTOR}
CORE = {
    "dimensions": {
        "input_shape": SHAPE,
        "output_shape": SHAPE,
        "kernel_size": "int",
        "stride": VECTOR,
        "padding": VECTOR,
    },
    "weights": ("int8", 4),
    "biases": ("int16", 1),
    "leak_enable": "bool",
    "neurons_initial_value": ("int16", 3),
    "threshold_high": "int",
    "threshold_low": "int",
    "return_to_zero": "bool",
    "monitor_enable": "bool",
    "destinations": [
        {"layer": "int", "enable": "bool", "pooling": "int", "feature_shift": "int"}
    ] * 2,
}  # fmt: skip
BLOCKS = {
    "input_congestion_balancer_enable": "bool",
    "output_decimator_enable": "bool",
    "output_decimator_interval": "int",
    "leak_internal_slow_clk_enable": "bool",
}
KILL_BITS = {
    "weights_kill_bit": ("bool", 4),
    "biases_kill_bit": ("bool", 1),
    "neurons_value_kill_bit": ("bool", 3),
}
CAMERA = {
    **dict.fromkeys(("merge", "mirror_diagonal", "on_channel", "off_channel"), "bool"),
    **dict.fromkeys(("monitor_enable", "raw_monitor_enable", "pass_sensor_events"), "bool"),
    **dict.fromkeys(("origin", "cut", "pooling"), VECTOR),
    "mirror": dict.fromkeys("xy", "bool"),
    "destinations": [{"layer": "int", "enable": "bool"}] * 2,
}
FILTER = {
    **dict.fromkeys(("enable", "hot_pixel_filter_enable", "low_pass_mode_enable"), "bool"),
    "filter_size": VECTOR,
    "threshold": "int",
}
READOUT = {
    **dict.fromkeys(("enable", "low_pass_filter_disable", "low_pass_filter32_not16"), "bool"),
    **dict.fromkeys(("override_threshold_max", "internal_slow_clk", "monitor_enable"), "bool"),
    **dict.fromkeys(("readout_configuration_sel", "output_mode_sel", "threshold"), "int"),
    "output_neuron_num": "int",
    "readout_pin_monitor_enable": "bool",
}
FACTORY = {"io_sel": "int", "fast_output": "bool", "internal_slow_clk_divider": "int"}
SPECK = {
    "cnn_layers": [CORE | BLOCKS] * 9,
    "dvs_layer": CAMERA,
    "dvs_filter": FILTER | {"internal_slow_clk": "bool"},
    "readout": READOUT,
    "factory_config": FACTORY,
}
MINI = {"cnn_layers": [CORE] * 5, "dvs_layer": CAMERA, "dvs_filter": FILTER}

SURFACES = {
    "samna.speck2e": ("SpeckConfiguration", SPECK),
    "samna.speck2f": ("SpeckConfiguration", SPECK),
    "samna.speck2cMini": ("SpeckConfiguration", MINI),
    "samna.speck2dMini": ("SpeckConfiguration", MINI),
    "samna.dynapcnn": (
        "DynapcnnConfiguration",
        {"cnn_layers": [CORE | KILL_BITS] * 9, "dvs_layer": CAMERA, "dvs_filter": FILTER},
    ),
}

# ---- stand-ins ----

WHOLE = {"byte": (0, 255), "int8": (-128, 127), "int16": (-(2**15), 2**15 - 1)}
WHOLE["int"] = (-(2**15), 2**16 - 1)
FIRST = {"bool": False, "byte": 0, "int": 0}


def takes(kind, value):
    """Whether the vendor's attribute of that kind takes the value."""
    if isinstance(kind, tuple):
        inner, depth = kind
        if depth == 0:
            return takes(inner, value)
        sizes = {len(v) for v in value if isinstance(v, list)} if isinstance(value, list) else set()
        return (
            isinstance(value, list)
            and len(sizes) <= 1
            and all(takes((inner, depth - 1), item) for item in value)
        )
    if kind == "bool":
        return type(value) is bool
    low, high = WHOLE[kind]
    return type(value) is int and low <= value <= high


class Strict:
    """An object with the attributes of ``kinds`` and no other."""

    def __init__(self, kinds):
        object.__setattr__(self, "kinds", kinds)
        for name, kind in kinds.items():
            object.__setattr__(self, name, instance_of(kind))

    def __setattr__(self, name, value):
        if name not in self.kinds:
            raise AttributeError(f"no attribute {name}")
        kind = self.kinds[name]
        if isinstance(kind, (dict, list)) or not takes(kind, value):
            raise TypeError(f"incompatible function arguments: {value!r}")
        object.__setattr__(self, name, value)


def instance_of(kind):
    if isinstance(kind, dict):
        return Strict(kind)
    if isinstance(kind, list):
        return tuple(Strict(inner) for inner in kind)
    return [] if isinstance(kind, tuple) else FIRST[kind]


def configuration_class(module):
    """The vendor's configuration class of that module: its name, and a stand-in for it."""
    name, kinds = SURFACES[module]
    return name, type(name, (Strict,), {"__init__": lambda self: Strict.__init__(self, kinds)})


def plain(live):
    """What a stand-in holds, as plain data."""
    if isinstance(live, Strict):
        return {name: plain(getattr(live, name)) for name in live.kinds}
    return [plain(item) for item in live] if isinstance(live, tuple) else live


def holds(live, tree):
    """Whether plain data of a stand-in has every value of a configuration's tree."""
    if isinstance(tree, dict):
        where = (lambda key: live[int(key)]) if isinstance(live, list) else live.__getitem__
        return all(holds(where(key), value) for key, value in tree.items())
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        return all(holds(a, b) for a, b in zip(live, tree, strict=True))
    return live == tree


INSTALLED = """
from tests.chips.speck.surfaces import configuration_class

_name, _made = configuration_class({module!r})
globals()[_name] = _made
"""


def files(module):
    """A distribution of the vendor's with that module, by path."""
    folder = module.replace(".", "/")
    return {
        "samna/__init__.py": "",
        "samna/samna.so": "",
        f"{folder}/__init__.py": f"from {module} import configuration\n",
        f"{folder}/configuration.py": INSTALLED.format(module=module),
    }
