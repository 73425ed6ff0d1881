"""Pooling of camera events in the sensor stage, where a chip pools before crop and mirroring."""

from __future__ import annotations

from dataclasses import replace

from toolchain.ir import Graph, Node, Sensor, SumPool2d

__all__ = ["fold_sensor_pool"]


def fold_sensor_pool(graph: Graph) -> Graph:
    """Fold sum pools that read a ``Sensor`` into the pooling of the sensor.

    Requires: all nodes that read the sensor are such pools, with the same window and without
    overlap; the crop starts at a multiple of the window, and mirrored axes have a size that is a
    multiple of it. Other pools are not changed.
    Ensures: the response is unchanged, exactly.

    >>> from toolchain.ir import Input, Output
    >>> nodes = {"input": Input(shape=(2, 64, 64)), "dvs": Sensor(size=(64, 64))}
    >>> nodes |= {"pool": SumPool2d(kernel=2, stride=2), "output": Output()}
    >>> graph = fold_sensor_pool(Graph.chain(nodes))
    >>> list(graph.nodes), graph["dvs"].pool, graph["dvs"].size
    (['input', 'dvs', 'output'], (2, 2), (32, 32))
    """
    for name in graph.of(Sensor):
        while (folded := _folded(graph, name)) is not None:
            graph = folded
    return graph


def _folded(graph: Graph, name: str) -> Graph | None:
    """Fold one pool, or several in parallel; None if there is none to fold."""
    sensor = graph[name]
    assert isinstance(sensor, Sensor)
    pools = {edge.post: graph[edge.post] for edge in graph.post(name) if not edge.delay}
    after = [edge for pool in pools for edge in graph.post(pool)]
    windows = {_window(pool) for pool in pools.values()}
    if len(pools) < len(graph.post(name)) or len({e.post for e in after}) < len(after):
        return None  # a delay, or a layer that would read the sensor twice
    window = windows.pop() if len(windows) == 1 else None
    pooled = None if window is None else _pooled(sensor, window)
    if pooled is None:
        return None
    nodes = {key: node for key, node in graph.nodes.items() if key not in pools} | {name: pooled}
    edges = [
        replace(edge, pre=name if edge.pre in pools else edge.pre)
        for edge in graph.edges
        if edge.post not in pools
    ]
    return Graph(nodes, edges, dt=graph.dt, provenance=graph.provenance)


def _window(node: Node) -> tuple[int, int] | None:
    """Return the (y, x) window of a sum pool without overlap; None for other nodes."""
    plain = type(node) is SumPool2d and node.kernel == node.stride
    return node.kernel if plain and isinstance(node, SumPool2d) else None


def _pooled(sensor: Sensor, window: tuple[int, int]) -> Sensor | None:
    """Return the sensor with its output pooled by ``window``; None if the windows would differ."""
    if sensor.swap_xy:
        window = window[1], window[0]
    (k_y, k_x), (top, left), (height, width) = window, sensor.origin, sensor.size
    cut = top % k_y or left % k_x
    if cut or (sensor.flip_y and height % k_y) or (sensor.flip_x and width % k_x):
        return None
    return replace(
        sensor,
        pool=(sensor.pool[0] * k_y, sensor.pool[1] * k_x),
        origin=(top // k_y, left // k_x),
        size=(height // k_y, width // k_x),
    )
