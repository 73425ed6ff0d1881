"""Programs for the tests of the Xylo room."""

from dataclasses import replace

import numpy as np

from toolchain.chips.xylo import XyloProgram, XyloState

CAPS = {"max_input_spikes": 15, "max_hidden_spikes": 31, "max_output_spikes": 1}
STATES = (
    "spikes",
    "hidden_spikes",
    "v_mem",
    "i_syn",
    "i_syn_2",
    "v_mem_out",
    "i_syn_out",
    "hibernation",
)


def as_program(net, core="v2", **changes):
    """The program of a network of plain arrays."""
    return XyloProgram(**{"chip": "xylo_test", "core": core, "dt": None, **net, **CAPS, **changes})


def quiet(inputs=1, hidden=2, outputs=1, synapses=1, core="v2", **changes):
    """A program without any connection that never fires, but for ``changes``."""
    fields = {
        "weights_in": np.zeros((inputs, hidden, synapses), int),
        "weights_rec": np.zeros((hidden, hidden, synapses), int),
        "weights_out": np.zeros((hidden, outputs), int),
        "dash_mem": np.full(hidden, 2),
        "dash_syn": np.full(hidden, 2),
        "dash_syn_2": np.full(hidden, 2),
        "dash_mem_out": np.full(outputs, 2),
        "dash_syn_out": np.full(outputs, 2),
        "threshold": np.full(hidden, 32767),
        "threshold_out": np.full(outputs, 32767),
        "bias": np.zeros(hidden, int),
        "bias_out": np.zeros(outputs, int),
        "weight_shift_in": 0,
        "weight_shift_rec": 0,
        "weight_shift_out": 0,
        "aliases": ((),) * hidden,
    }
    return as_program(fields | changes, core)


def replay(run, program, raster, calls):
    """Every state of ``raster`` given to ``run`` in ``calls``: ``(first, stop, reset before)``.

    A dict of the states that ``run`` records, of one sample, time first. As xylosim does, each
    call begins awake, which the hibernation trace of a program with a bias shows in its first step.
    """
    state, parts = XyloState.zeros(program, 1), []
    for first, stop, reset in calls:
        if reset:
            state = XyloState.zeros(program, 1)
        awake = replace(state, hibernating=np.zeros_like(state.hibernating))
        got = run(program, raster[first:stop], state=awake)
        state = got.state
        parts.append({n: getattr(got, n) for n in STATES if getattr(got, n) is not None})
    return {name: np.concatenate([part[name][0] for part in parts]) for name in parts[0]}


def assert_equal_recordings(got, want):
    """Every state of every step, the state at the end and the saturations are the same."""
    for name in STATES:
        a, b = getattr(got, name), getattr(want, name)
        assert (a is None) == (b is None), name
        if a is not None:
            assert a.dtype == b.dtype, name
            np.testing.assert_array_equal(a, b, err_msg=name)
    for name in got.state.__slots__:
        a, b = getattr(got.state, name), getattr(want.state, name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=f"state.{name}")
    assert got.saturations == want.saturations
