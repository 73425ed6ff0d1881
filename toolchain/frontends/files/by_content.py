"""Files with models, told apart by what is in them and not by their names."""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.archive import Archive
from toolchain.diagnostics import ArtifactError, ModelFileError
from toolchain.extras import needed_by
from toolchain.frontends.files.contents import Content, Kind, look
from toolchain.ir import Graph
from toolchain.ir.store import unpack_graph

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load"]

_LOG = logging.getLogger("toolchain.files")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What the user says about a file."""

    sample: Any
    dt: float | None
    dialect: str | None
    reset: str | None
    factory: str | None
    trust_pickle: bool


def load(
    path: str | Path,
    *,
    sample: Any = None,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
    factory: str | None = None,
    trust_pickle: bool = False,
) -> Graph:
    """The Graph in a file, whose kind is told by its content.

    A NIR file, rockpool's JSON (``module.save()``) and the folder of a saved deployment say what
    network they hold. Weights (safetensors, or a ``state_dict`` of ``torch.save``) do not: they
    need ``factory`` and ``sample``.

    Args:
        path: the file, or the folder of a saved deployment.
        sample: an input as the network's own forward takes it; for weights and modules.
        dt: length of a timestep, s; needed for NIR, and where the network does not know it.
        dialect, reset: how a NIR file is to be read; see ``toolchain.frontends.nir``.
        factory: ``"module:function"``, which is imported and called without arguments, and gives
            the network that the weights are of. **This runs your code.**
        trust_pickle: unpickle a whole module. **This runs whatever code the file holds.** The
            names that it imports are logged first, by the logger ``toolchain.files``.

    Raises:
        ModelFileError: a file that is not read, is damaged or hostile, does not fit its network,
            or leaves something open.
        ExtractError: the network cannot be turned into a Graph.
    """
    content = look(Path(path))
    given = _Given(
        sample=sample,
        dt=dt,
        dialect=dialect,
        reset=reset,
        factory=factory,
        trust_pickle=trust_pickle,
    )
    _check(content, given)
    try:
        with needed_by(f"reading {_printable(str(content.path))}"):
            return _READERS[content.kind](content, given)
    except ModelFileError as fault:
        where, told = f"{content.path}", str(fault)
        told = told if told.startswith(where) else f"{where}: {told}"
        raise ModelFileError(_printable(told)) from fault.__cause__


def _printable(text: str) -> str:
    """With what a terminal might obey, or cannot show, as escapes; the file chose the names."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _check(content: Content, given: _Given) -> None:
    """Refuse what says nothing about a file of this kind."""
    for name, kinds in _MEANT_FOR.items():
        if getattr(given, name) is not None and content.kind not in kinds:
            raise ModelFileError(
                f"{content.path}: is {content.kind.value}; {name}= is for "
                f"{' and '.join(kind.value for kind in kinds)}"
            )


_MEANT_FOR: Mapping[str, tuple[Kind, ...]] = {
    "dialect": (Kind.NIR,),
    "reset": (Kind.NIR,),
    "factory": (Kind.JSON, Kind.SAFETENSORS, Kind.TORCH, Kind.TORCH_LEGACY),
}


# ---- one reader a kind ----


def _nir(content: Content, given: _Given) -> Graph:
    from toolchain.frontends.nir import to_graph
    from toolchain.frontends.nir.read import read

    return to_graph(read(content.path), dt=given.dt, dialect=given.dialect, reset=given.reset)


def _deployment(content: Content, given: _Given) -> Graph:
    try:
        archive = Archive(content.path)
        graph = archive.build("graph", lambda: unpack_graph(*archive.unpacked("graph")))
    except ArtifactError as fault:
        raise ModelFileError(str(fault)) from None
    return graph if given.dt is None else graph.with_dt(given.dt)


def _json(content: Content, given: _Given) -> Graph:
    from toolchain.frontends.files.rockpool_json import read_tree, to_graph

    tree = _sound(content, lambda: read_tree(content.data))
    if given.factory is None:
        return to_graph(tree, content.path.name, given.dt)
    module = _built(given)
    restore = getattr(module, "load", None)
    if restore is None:
        raise ModelFileError(
            f"factory={given.factory!r} gave {type(module).__name__}, which has no load() for "
            "rockpool's JSON"
        )
    restore(str(content.path))
    return _extracted(module, content, given, {})


def _safetensors(content: Content, given: _Given) -> Graph:
    from toolchain.frontends.files.tensors import read

    return _from_weights(_sound(content, lambda: read(content.data)), content, given)


def _torch(content: Content, given: _Given) -> Graph:
    from toolchain.frontends.files.torch_file import TorchFile

    file = _sound(content, lambda: TorchFile.of(content.data))
    foreign = _sound(content, file.foreign_globals)
    if foreign:
        return _pickled(content, given, foreign)
    return _from_weights(_sound(content, file.read), content, given)


def _legacy(content: Content, given: _Given) -> Graph:
    if given.trust_pickle:
        from toolchain.frontends.files.pickles import stream_globals

        # a number, a version, sizes of this machine's integers, and what was saved
        return _pickled(content, given, _sound(content, lambda: stream_globals(content.data, 4)))
    raise ModelFileError(
        "is a file of torch.save in the format from before torch 1.6; write it anew: "
        "torch.save(torch.load(path, weights_only=True), path)"
    )


_READERS: Mapping[Kind, Callable[[Content, _Given], Graph]] = {
    Kind.NIR: _nir,
    Kind.JSON: _json,
    Kind.SAFETENSORS: _safetensors,
    Kind.TORCH: _torch,
    Kind.TORCH_LEGACY: _legacy,
    Kind.DEPLOYMENT: _deployment,
}


def _sound(content: Content, read: Callable[[], Any]) -> Any:
    """What ``read`` gives; it tells what is wrong in the file."""
    try:
        return read()
    except ModelFileError:
        raise
    except ValueError as fault:
        raise ModelFileError(f"is no sound {_CALLED[content.kind]}: {fault}") from None


_CALLED = {
    Kind.JSON: "file of rockpool's module.save()",
    Kind.SAFETENSORS: "safetensors file",
    Kind.TORCH: "file of torch.save",
    Kind.TORCH_LEGACY: "file of torch.save",
}


# ---- weights and modules ----


def _built(given: _Given) -> nn.Module:
    from toolchain.frontends.files.factory import build

    if given.factory is None:
        raise ModelFileError(
            "holds weights, which do not say what network they are of; "
            "toolchain.load(path, factory='module:function', sample=...) runs that function, "
            "which has to build the network, and gives a Graph, which deploy takes"
        )
    if given.sample is None:
        raise ModelFileError("needs sample=, an input as the network's own forward takes it")
    return build(given.factory)


def _from_weights(saved: Any, content: Content, given: _Given) -> Graph:
    from toolchain.frontends.files.weights import fill, flat

    weights, entry = flat(saved)
    module = _built(given)
    told = fill(module, weights)
    if entry is not None:
        told = {"entry": entry, **told}
    return _extracted(module, content, given, told)


def _extracted(
    module: nn.Module, content: Content, given: _Given, told: Mapping[str, str]
) -> Graph:
    from toolchain.frontends.tracing.trace import extract

    graph = extract(module, given.sample, given.dt)
    where = {"file": content.path.name, "file_kind": content.kind.value}
    if given.factory is not None:
        where["factory"] = given.factory
    provenance = {**graph.provenance, **where, **told}
    return Graph(graph.nodes, graph.edges, dt=graph.dt, provenance=provenance)


_NUMPY = (
    "; those of numpy are single numbers saved beside the weights, such as a best accuracy: "
    "save them as float(x)"
)


def _pickled(content: Content, given: _Given, foreign: tuple[str, ...]) -> Graph:
    """The file unpickled, which runs its code; only where the user says so."""
    names = ", ".join(foreign)
    if not given.trust_pickle:
        hint = _NUMPY if any(name.startswith("numpy.") for name in foreign) else ""
        raise ModelFileError(
            f"holds more than weights: loading it imports {names}{hint}. Nothing of it was run. "
            "Save the weights alone, torch.save(model.state_dict(), ...), and load them with "
            "factory= and sample=; or, where you know who made the file, pass trust_pickle=True, "
            "which runs the code that it names"
        )
    import torch

    _LOG.warning("%s: unpickling, which imports %s", content.path, names)
    try:
        saved = torch.load(io.BytesIO(content.data), map_location="cpu", weights_only=False)
    except (ImportError, AttributeError) as fault:
        raise ModelFileError(f"what it imports is not there: {fault}") from fault
    except (EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as fault:
        raise ModelFileError(f"cannot be unpickled: {fault}") from fault
    if not isinstance(saved, torch.nn.Module):
        return _from_weights(_as_arrays(saved), content, given)
    if given.factory is not None:
        raise ModelFileError("holds a whole module; factory= is for weights")
    if given.sample is None:
        raise ModelFileError("needs sample=, an input as the module's own forward takes it")
    return _extracted(saved, content, given, {"pickle": "trusted"})


def _as_arrays(saved: Any, depth: int = 0) -> Any:
    import torch

    from toolchain.frontends.files.tensors import as_array

    if isinstance(saved, torch.Tensor):
        return as_array(saved)
    if isinstance(saved, Mapping) and depth < 2:
        return {key: _as_arrays(value, depth + 1) for key, value in saved.items()}
    return saved
