"""Addresses of neurons and events, there and back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import each
from tests.chips.speck.networks import chain
from tests.oracles.speck_networks import random_case, random_event_case
from toolchain.chips.speck import Destination, simulate
from toolchain.chips.speck.emit.addresses import (
    SPIKES,
    from_board,
    pack_address,
    to_board,
    to_counts,
    to_events,
    to_raster,
    unpack_address,
)

side = st.integers(1, 70)


@given(st.integers(1, 1024), side, side)
def test_every_neuron_has_an_address_of_its_own(channels, height, width):
    shape = (channels, height, width)
    bits = sum((size - 1).bit_length() for size in shape)
    if bits > 18:
        with pytest.raises(ValueError, match=f"needs addresses of {bits} bit, the chip has 18"):
            pack_address(shape, 0, 0, 0)
        return
    places = np.indices(shape).reshape(3, -1)
    address = pack_address(shape, *places)
    assert np.bincount(address.ravel()).max() == 1
    assert address.max() < 2**bits
    np.testing.assert_array_equal(unpack_address(shape, address), places)


def test_the_published_address_of_a_square_map():
    assert pack_address((16, 32, 32), 1, 2, 3) == 1073
    assert [int(part) for part in unpack_address((16, 32, 32), 1073)] == [1, 2, 3]


def test_wide_maps_do_not_collide():
    shape = (1, 2, 8)
    assert pack_address(shape, 0, 0, 2) != pack_address(shape, 0, 1, 0)
    assert pack_address(shape, 0, 1, 0) == 8


@pytest.mark.parametrize("place", [(2, 0, 0), (0, 3, 0), (0, 0, 5), (-1, 0, 0), (0, 0.5, 0)])
def test_neurons_beyond_the_map_have_no_address(place):
    with pytest.raises(ValueError, match="must be integers from 0 to"):
        pack_address((2, 3, 5), *place)


@pytest.mark.parametrize("address", [-1, 5 << 1, 3 << 4, 1 << 20])
def test_numbers_that_are_no_address_are_refused(address):
    with pytest.raises(ValueError, match=f"address {address} is outside the map"):
        unpack_address((2, 3, 5), address)
    with pytest.raises(ValueError, match="addresses must be integers"):
        unpack_address((2, 3, 5), 1.0)


# ---- rasters and events ----


@each("seed", range(20))
def test_a_raster_comes_back_from_its_events(seed):
    program, raster = random_case(seed)
    shape, steps = program.input_shape, raster.shape[1]
    events = to_events(raster, shape, 2e-3)
    assert [len(stream) for stream in events] == raster.sum((1, 2, 3, 4)).tolist()
    assert all(np.all(np.diff(stream["t"]) >= 0) for stream in events)
    assert all(np.all(stream["t"] % 2000 == 0) for stream in events)
    np.testing.assert_array_equal(to_raster(events, shape, 2e-3, steps), raster)


@each("seed", range(20))
def test_events_come_back_from_their_raster_in_order_of_place(seed):
    program, streams, steps, _ = random_event_case(seed)
    shape = program.input_shape
    raster = to_raster(streams, shape, 1e-3, steps)
    for ours, stream in zip(to_events(raster, shape, 1e-3), streams, strict=True):
        columns = [stream[name].astype(int) for name in "xyp"] + [stream["t"] // 1000 * 1000]
        order = np.lexsort([columns[k] for k in (0, 1, 2, 3)])
        for name, column in zip("xypt", columns, strict=True):
            np.testing.assert_array_equal(ours[name], column[order])


def test_n_counts_are_n_events():
    (events,) = to_events(np.array([[[[0, 3]]], [[[1, 0]]]]), (1, 1, 2), 1e-3)
    assert events.tolist() == [(1, 0, 0, 0)] * 3 + [(0, 0, 1000, 0)]


def test_steps_that_are_no_whole_microseconds_are_refused():
    with pytest.raises(ValueError, match="whole number of µs"):
        to_events(np.zeros((1, 1, 1, 1), int), (1, 1, 1), 1.5e-6)
    with pytest.raises(ValueError, match="whole number of µs"):
        to_raster(to_events(np.ones((1, 1, 1, 1), int), (1, 1, 1), 1e-3), (1, 1, 1), 0)


# ---- boards ----


def two_ways():
    """A program that reads its input twice, once pooled; on cores 5 and 2."""
    layers = [{"outputs": 1, "kernel": 1}, {"outputs": 2, "kernel": 1, "input_shape": (2, 2, 2)}]
    program = chain((2, 4, 5), *layers, inputs=(Destination(layer="spk0"),))
    first, last = program.cores
    return program, first, last


def test_every_core_that_reads_the_input_is_sent_each_event():
    program, first, last = two_ways()
    program = replace(
        program,
        cores=(replace(first, destinations=(), monitor=True), last),
        inputs=(Destination(layer="spk0"), Destination(layer="spk1", pooling=2)),
    ).placed({"spk0": 5, "spk1": 2})
    (events,) = to_events(
        np.eye(20, dtype=int)[[13, 4]].reshape(2, 1, 4, 5).repeat(2, 1), (2, 4, 5), 1e-3
    )
    sent = to_board(program, events)
    assert sent.dtype == SPIKES
    assert sent.tolist() == [
        (5, 0, 2, 3, 0),
        (2, 0, 1, 1, 0),
        (5, 1, 2, 3, 0),
        (2, 1, 1, 1, 0),
        (5, 0, 0, 4, 1000),  # its column is beyond the last window of the pooling
        (5, 1, 0, 4, 1000),
    ]


def test_layers_without_a_core_have_no_address():
    program, *_ = two_ways()
    with pytest.raises(ValueError, match="not placed on a core: spk0, spk1"):
        to_board(program, np.zeros(0, SPIKES))


def as_board(program, run):
    """What a board would send of the events that a simulation gave."""
    parts = []
    for name, streams in run.events.items():
        spikes = np.zeros(len(streams[0]), SPIKES)
        spikes["layer"] = program[name].core
        for ours, theirs in zip("ptxy", ("feature", "timestamp", "x", "y"), strict=True):
            spikes[theirs] = streams[0][ours]
        parts.append(spikes)
    return np.concatenate(parts)


@each("seed", range(12))
def test_spikes_of_a_board_become_the_outputs_of_a_simulation(seed):
    program, streams, steps, _ = random_event_case(seed)
    cores = [replace(core, bias=None, core=k) for k, core in enumerate(program.cores)]
    program = replace(program, cores=tuple(cores))
    run = simulate(program, streams[:1], timing="event", steps=steps)
    spikes = as_board(program, run)
    shuffled = spikes[np.argsort(spikes["layer"], kind="stable")[::-1]]
    shuffled = shuffled[np.argsort(shuffled["x"], kind="stable")]
    got = to_counts(program, shuffled, 1e-3, steps)
    flat = [out.reshape(1, steps, -1) for out in run.outputs.values()]
    np.testing.assert_array_equal(got, np.concatenate(flat, axis=2))
    for name, stream in from_board(program, spikes).items():
        np.testing.assert_array_equal(stream, run.events[name][0])


def test_spikes_of_strangers_are_refused():
    program, *_ = two_ways()
    program = program.placed({"spk0": 5, "spk1": 2})
    with pytest.raises(ValueError, match=r"spikes of cores that are not monitored: \[5, 8\]"):
        from_board(program, np.array([(8, 0, 0, 0, 0), (5, 0, 0, 0, 0)], SPIKES))
    with pytest.raises(ValueError, match="a spike of 'spk1' has feature 2, the map has 2"):
        from_board(program, np.array([(2, 2, 0, 0, 0)], SPIKES))
