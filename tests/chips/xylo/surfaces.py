"""The attribute surfaces of the vendor's four configuration modules, as data, and stand-ins.

Names and types are those that others' programs are seen to set and read (Rockpool documentation and
released behaviour); nothing here was made with the vendor's library. A stand-in is as strict as
the vendor's bindings: it has these attributes only, and each takes its type only.
"""

from collections import namedtuple
from types import SimpleNamespace

MODES = ("Manual", "AcceleratedTime", "RealTime")
OUTPUT = dict.fromkeys(("i_syn_decay", "v_mem_decay", "threshold", "v_mem_bias"), "int")
HIDDEN = OUTPUT | {"alias_target": "optional"}
ONE = {"weights": "matrix", "weight_bit_shift": "int"}
TWO = ONE | {"syn2_weights": "matrix"}
MONITORS = dict.fromkeys(
    (
        "monitor_neuron_i_syn",
        "monitor_neuron_i_syn2",
        "monitor_neuron_spike",
        "monitor_neuron_v_mem",
    ),
    "monitor",
)


def switches(*names):
    return dict.fromkeys(names, "bool")


CORE_2 = {
    "operation_mode": MODES,
    "time_resolution_wrap": "int",
    **switches("bias_enable", "synapse2_enable"),
    **switches("enable_hibernation_mode", "clear_network_state"),
    "input": TWO,
    "reservoir": TWO | switches("aliasing") | {"neurons": "ReservoirNeuron"},
    "readout": ONE | {"neurons": "OutputNeuron"},
    "debug": switches(
        "isyn_clock_enable",
        "isyn2_clock_enable",
        "ra_clock_enable",
        "bias_clock_enable",
        "hm_clock_enable",
        "ram_power_enable",
        "always_update_omp_stat",
    )
    | MONITORS,
}
XYLO_1 = {
    "operation_mode": MODES,
    "time_resolution_wrap": "int",
    **switches("synapse2_enable"),
    "input": TWO,
    "reservoir": TWO | switches("aliasing") | {"neurons": "ReservoirNeuron"},
    "readout": ONE | {"neurons": "OutputNeuron"},
    "debug": switches("clock_enable", "ram_power_enable"),
}
IMU = {
    "operation_mode": MODES,
    "time_resolution_wrap": "int",
    **switches("bias_enable", "enable_hibernation_mode", "imu_if_input_enable"),
    "input": ONE,
    "hidden": ONE | switches("aliasing") | {"neurons": "HiddenNeuron"},
    "readout": ONE | {"neurons": "OutputNeuron"},
    "debug": switches("always_update_omp_stat", "imu_if_clk_enable")
    | {"imu_if_clock_freq_div": "int"}
    | MONITORS,
    "input_interface": switches("enable", "select_iaf_output", "bypass_jsvd")
    | {"delay_threshold": "int", "configuration_timeout": "int"},
}
AUDIO_3 = {
    "operation_mode": (*MODES, "Recording"),
    "input_source": ("SpikeEvents", "DigitalMicrophone", "PdmEvents"),
    "time_resolution_wrap": "int",
    **switches("bias_enable", "synapse2_enable", "enable_hibernation_mode"),
    "input": TWO,
    "hidden": TWO | switches("aliasing") | {"neurons": "HiddenNeuron"},
    "readout": ONE | {"neurons": "OutputNeuron"},
    "debug": switches(
        "always_update_omp_stat",
        "ram_access_enable",
        "use_timestamps",
        "debug_status_update_enable",
    )
    | {"sdm_clock_ratio": "int"}
    | dict.fromkeys(MONITORS, "ids"),
    "digital_frontend": {
        "filter_bank": switches("dn_enable", "use_global_iaf_threshold"),
        **switches("hibernation_mode_enable"),
    },
}
SECOND = {"i_syn2_decay": "int"}
UNBIASED = {name: kind for name, kind in HIDDEN.items() if name != "v_mem_bias"}

SURFACES = {
    "samna.xylo": {
        "XyloConfiguration": XYLO_1,
        "ReservoirNeuron": UNBIASED | SECOND,
        "OutputNeuron": {name: kind for name, kind in OUTPUT.items() if name != "v_mem_bias"},
    },
    "samna.xyloCore2": {
        "XyloConfiguration": CORE_2,
        "ReservoirNeuron": HIDDEN | SECOND,
        "OutputNeuron": OUTPUT,
    },
    "samna.xyloImu": {
        "XyloConfiguration": IMU,
        "HiddenNeuron": HIDDEN,
        "OutputNeuron": OUTPUT,
    },
    "samna.xyloAudio3": {
        "XyloConfiguration": AUDIO_3,
        "HiddenNeuron": HIDDEN | SECOND,
        "OutputNeuron": OUTPUT,
    },
}

# ---- stand-ins ----


def is_matrix(value):
    return (
        isinstance(value, list)
        and all(isinstance(row, list) and len(row) == len(value[0]) for row in value)
        and all(type(x) is int and -128 <= x <= 127 for row in value for x in row)
    )


TAKES = {
    "bool": lambda value: type(value) is bool,
    "int": lambda value: type(value) is int,
    "optional": lambda value: value is None or type(value) is int,
    "matrix": is_matrix,
    "monitor": lambda value: value is None or isinstance(value, NeuronRange),
    "ids": lambda value: isinstance(value, list) and all(type(n) is int for n in value),
}
NeuronRange = namedtuple("NeuronRange", "start end")
FIRST = {"ids": [], "bool": False, "int": 0, "optional": None, "matrix": [], "monitor": None}


class Strict:
    """An object with the attributes of ``kinds`` and no other."""

    def __init__(self, kinds, build):
        object.__setattr__(self, "kinds", kinds)
        for name, kind in kinds.items():
            object.__setattr__(self, name, build(name, kind))

    def __setattr__(self, name, value):
        if name not in self.kinds:
            raise AttributeError(f"no attribute {name}")
        kind = self.kinds[name]
        if isinstance(kind, tuple):
            good = type(value) is type(getattr(self, name))
        elif kind in TAKES:
            good = TAKES[kind](value)
        else:
            good = isinstance(kind, str) and {type(item).__name__ for item in value} == {kind}
        if not good:
            raise TypeError(f"incompatible function arguments: {value!r}")
        object.__setattr__(self, name, value)


def classes(module):
    """What ``module.configuration`` has, in the form of the vendor's classes."""

    def build(name, kind):
        if isinstance(kind, dict):
            return Strict(kind, build)
        if isinstance(kind, tuple):
            members = type(name.title().replace("_", ""), (), {})
            for member in kind:
                setattr(members, member, members())
            return getattr(members, kind[0])
        return FIRST.get(kind, [])

    def build_class(name, kinds):
        return type(name, (Strict,), {"__init__": lambda self: Strict.__init__(self, kinds, build)})

    ranges = {"NeuronRange": NeuronRange} if module in ("samna.xyloCore2", "samna.xyloImu") else {}
    made = {name: build_class(name, k) for name, k in SURFACES[module].items()}
    return SimpleNamespace(**made, **ranges)


def plain(live):
    """What a stand-in holds, as plain data."""
    if isinstance(live, Strict):
        return {name: plain(getattr(live, name)) for name in live.kinds}
    if isinstance(live, NeuronRange):
        return live._asdict()
    if isinstance(live, list) and live and isinstance(live[0], Strict):
        return [plain(item) for item in live]
    members = {name: member for name, member in vars(type(live)).items() if name[0] != "_"}
    return next((name for name, member in members.items() if member is live), live)
