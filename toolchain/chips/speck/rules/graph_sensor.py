"""Rules on the real-valued graph about the camera of a Speck chip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from toolchain.chips.rules.findings import Findings, error
from toolchain.chips.speck.lower.integers import sources
from toolchain.chips.speck.rules.sensor import beyond_limits
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Advice, Remedy
from toolchain.ir import Edge, Graph, Sensor, SumPool2d
from toolchain.passes import fold_sensor_pool

__all__ = ["input_pooling", "sensor_first"]


def sensor_first(graph: Graph, chip: SpeckChip) -> Findings:
    """Check that there is one camera, before every other layer."""
    sensors = graph.of(Sensor)
    for name in sensors:
        if len(sensors) > 1:
            yield error("sensor_first", name, f"is one of {len(sensors)} sensors, a chip has one")
        before = graph.before(name)
        if before != graph.input or graph.pre(name)[0].delay:
            yield error(
                "sensor_first", name, f"reads {before!r}; the sensor of {chip.name} must be first"
            )
    past = [edge.post for edge in graph.post(graph.input) if edge.post not in sensors]
    for name in past if sensors else ():
        yield error(
            "sensor_first",
            name,
            f"reads the input without {', '.join(map(repr, sensors))}; all events of {chip.name} "
            "pass its sensor",
        )


def input_pooling(graph: Graph, chip: SpeckChip) -> Findings:
    """Check that pools of the input are part of the camera."""
    for name in graph.of(SumPool2d):
        read = {source for source, *_ in sources(graph, name)}
        if graph.input in read:
            yield error(
                "input_pooling",
                name,
                f"pools the input; {chip.name} pools between cores and in its sensor, but not "
                "events that are sent to a core from outside",
                advice=Advice(partial(_sensor_remedy, graph, name, chip)),
            )
        for sensor in read & graph.of(Sensor).keys():
            crop = Advice(partial(_crop_remedy, graph, name, sensor))
            yield error(
                "input_pooling", name, _reason_not_folded(graph, name, sensor, chip), advice=crop
            )


def _reason_not_folded(graph: Graph, name: str, sensor: str, chip: SpeckChip) -> str:
    """Return why a pool behind a sensor was not folded into it."""
    pool, node = graph[name], graph[sensor]
    assert isinstance(pool, SumPool2d)
    assert isinstance(node, Sensor)
    others = [edge.post for edge in graph.post(sensor) if edge.post != name]
    fact = f"pools {pool.kernel} of {sensor!r}, which {chip.name} can only do inside it"
    if pool.stride != pool.kernel:
        return f"{fact}, and with stride {pool.stride} its windows overlap or leave gaps"
    if others:
        return f"{fact}, for all its readers alike: {', '.join(map(repr, others))} reads it, too"
    return (
        f"{fact}, before its crop and mirrors; with a crop of {node.size} from {node.origin}, its "
        "windows are not those of the sensor"
    )


def _crop_remedy(graph: Graph, pool: str, sensor: str) -> Iterator[Remedy]:
    """Yield the nearest crop with which the pool is folded and no later shape changes."""
    window, node = graph[pool], graph[sensor]
    assert isinstance(window, SumPool2d)
    assert isinstance(node, Sensor)
    k_y, k_x = window.kernel[::-1] if node.swap_xy else window.kernel
    (top, left), (height, width) = node.origin, node.size
    top, left = top - top % k_y, left - left % k_x
    height, width = height - height % k_y, width - width % k_x
    moved = replace(node, origin=(top, left), size=(height, width))
    if pool not in fold_sensor_pool(graph.replace({sensor: moved})):
        crop = f"(({top}, {top + height}), ({left}, {left + width}))"
        yield Remedy(f"crop={crop} in {sensor!r} is supported")


def _sensor_remedy(graph: Graph, pool: str, chip: SpeckChip) -> Iterator[Remedy]:
    """Yield the sensor that can replace a pool of the input, if it fits the chip."""
    channels, height, width = graph.shape(graph.input)
    merge = channels == 1
    name = "sensor"
    while name in graph:
        name += "#"
    nodes = {**graph.nodes, name: Sensor(merge=merge, size=(height, width))}
    edges = [replace(e, pre=name) if e.pre == graph.input else e for e in graph.edges]
    tried = fold_sensor_pool(Graph(nodes, [Edge(graph.input, name), *edges]))
    sensor = tried[name]
    assert isinstance(sensor, Sensor)
    shape = (channels, height, width)
    if pool in tried or any(beyond_limits(SpeckSensor.of(sensor, name), shape, chip)):
        return
    merged = ", merge_polarities=True" if merge else ""
    yield Remedy(f"toolchain.nn.DVSLayer(({height}, {width}){merged}) before it can do its pooling")
