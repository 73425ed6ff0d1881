"""Loading of model files, recognised by their content and not by their names."""

from __future__ import annotations

import io
import logging
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.archive import Archive, is_part
from toolchain.diagnostics import ArtifactError, ModelFileError
from toolchain.extras import needed_by
from toolchain.frontends.files.contents import Content, FileKind, identify
from toolchain.frontends.files.foreign import PART, document_refusal
from toolchain.frontends.files.programs import document_in, network_of_document
from toolchain.frontends.unsuited import advice_on
from toolchain.ir import Graph
from toolchain.ir.store import unpack_graph
from toolchain.report import visible

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load"]

_LOG = logging.getLogger("toolchain.files")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """Options of :func:`load`, as given by the user."""

    sample: Any
    dt: float | None
    dialect: str | None
    reset: str | None
    factory: str | None
    entry: str | None
    trust_pickle: bool


def load(
    path: str | os.PathLike[str],
    *,
    sample: Any = None,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
    factory: str | None = None,
    entry: str | None = None,
    trust_pickle: bool = False,
) -> Graph:
    """Load the Graph from a file, whose kind is recognised by its content.

    NIR files, rockpool's JSON (``module.save()``) and folders of saved deployments define their
    network. Files of a finished program, such as a quantized specification or the vendor's
    configuration, give the network of its integers; ``deploy(path, chip)`` loads these unchanged.
    Weights (safetensors, or a ``state_dict`` of ``torch.save``) do not: they need
    ``factory`` and ``sample``.

    Args:
        path: the file, or the folder of a saved deployment.
        sample: an example input for the network's forward(); for weights and modules.
        dt: length of a timestep, s; needed for NIR, and if the network does not define it.
        dialect: the framework whose update rules a NIR file means; see
            ``toolchain.frontends.nir.to_graph``.
        reset: the reset of a NIR file; see ``toolchain.frontends.nir.to_graph``.
        factory: ``"module:function"``, which is imported and called without arguments, and returns
            the network of the weights. **This runs your code.** Thresholds and other constants of
            neurons that the file does not have keep the values of that network, which the logger
            ``toolchain.files`` and the provenance report.
        entry: name of the checkpoint's entry with the weights, if there are several.
        trust_pickle: unpickle a whole module. **This runs any code in the file.** The names that
            it imports are logged first, by the logger ``toolchain.files``.

    Raises:
        ModelFileError: the file is unsupported, damaged or hostile, does not fit its network, or
            is ambiguous.
        ExtractError: the network cannot be converted to a Graph.

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> from toolchain import load
        >>> layers = {"0_LinearTorch": {"weight": "[[0.5, 1.0], [0.25, 0.0], [0.0, 2.0]]"}}
        >>> _ = Path("net.json").write_text(json.dumps(layers))  # as rockpool's module.save()
        >>> graph = load("net.json", dt=1e-3)
        >>> graph.shape("input"), graph.shape("output"), graph.dt
        ((3,), (2,), 0.001)
    """
    if not isinstance(path, str | os.PathLike):
        raise ModelFileError(f"path must be the path of a file, got {advice_on(path)}")
    content = identify(Path(path))
    options = _Options(
        sample=sample,
        dt=dt,
        dialect=dialect,
        reset=reset,
        factory=factory,
        entry=entry,
        trust_pickle=trust_pickle,
    )
    _check_options(content, options)
    try:
        if content.path.name != "manifest.json" and is_part(content.path):
            raise ModelFileError(PART)
        with needed_by(f"reading {_printable(str(content.path))}"):
            return _READERS[content.kind](content, options)
    except ModelFileError as fault:
        where, message = f"{content.path}", str(fault)
        message = f": {message}" if not message.startswith(where) else message.removeprefix(where)
        message = visible(where, one_line=True) + message
        raise ModelFileError(_printable(message)) from fault.__cause__


def _printable(text: str) -> str:
    """Escape all characters that are not printable, since the file chose the names."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _check_options(content: Content, options: _Options) -> None:
    """Refuse options that do not apply to this kind of file."""
    for name, kinds in _KINDS_OF_OPTION.items():
        if getattr(options, name) is not None and content.kind not in kinds:
            where = visible(str(content.path), one_line=True)
            raise ModelFileError(
                f"{where}: is {content.kind.value}; {name}= applies only to "
                f"{' and '.join(kind.value for kind in kinds)}"
            )


_KINDS_OF_OPTION: Mapping[str, tuple[FileKind, ...]] = {
    "dialect": (FileKind.NIR,),
    "reset": (FileKind.NIR,),
    "factory": (FileKind.JSON, FileKind.SAFETENSORS, FileKind.TORCH, FileKind.TORCH_LEGACY),
    "entry": (FileKind.TORCH, FileKind.TORCH_LEGACY),
}


# ---- one reader per kind ----


def _nir(content: Content, options: _Options) -> Graph:
    from toolchain.frontends.nir import to_graph
    from toolchain.frontends.nir.read import read

    return to_graph(read(content.path), dt=options.dt, dialect=options.dialect, reset=options.reset)


def _deployment(content: Content, options: _Options) -> Graph:
    try:
        archive = Archive(content.path)
        graph = archive.build("graph", lambda: unpack_graph(*archive.unpacked("graph")))
    except ArtifactError as fault:
        raise ModelFileError(str(fault)) from None
    return graph if options.dt is None else graph.with_dt(options.dt)


def _json(content: Content, options: _Options) -> Graph:
    from toolchain.frontends.files.rockpool_json import read_tree, to_graph

    if options.factory is None:
        document = document_in(content)
        if document is not None:
            network = network_of_document(document, content.path, options.dt)
            if network is not None:
                return network
            if reason := document_refusal(document):
                raise ModelFileError(reason)
    tree = _parse(content, lambda: read_tree(content.data))
    if options.factory is None:
        return to_graph(tree, content.path.name, options.dt)
    module = _build(options)
    restore = getattr(module, "load", None)
    if restore is None:
        raise ModelFileError(
            f"factory={options.factory!r} returned {type(module).__name__}, which has no "
            "load() for rockpool's JSON"
        )
    restore(str(content.path))
    return _extract(module, content, options, {})


def _safetensors(content: Content, options: _Options) -> Graph:
    from toolchain.frontends.files.tensors import read

    return _from_weights(_parse(content, lambda: read(content.data)), content, options)


def _torch(content: Content, options: _Options) -> Graph:
    from toolchain.frontends.files.torch_file import TorchFile

    file = _parse(content, lambda: TorchFile.of(content.data))
    foreign = _parse(content, file.foreign_globals)
    if foreign:
        return _unpickle(content, options, foreign)
    return _from_weights(_parse(content, file.read), content, options)


def _legacy(content: Content, options: _Options) -> Graph:
    if options.trust_pickle:
        from toolchain.frontends.files.pickles import stream_globals

        # magic number, version, integer sizes of the machine, and the saved value
        return _unpickle(content, options, _parse(content, lambda: stream_globals(content.data, 4)))
    raise ModelFileError(
        "uses the torch.save format from before torch 1.6; save it again: "
        "torch.save(torch.load(path, weights_only=True), path)"
    )


_READERS: Mapping[FileKind, Callable[[Content, _Options], Graph]] = {
    FileKind.NIR: _nir,
    FileKind.JSON: _json,
    FileKind.SAFETENSORS: _safetensors,
    FileKind.TORCH: _torch,
    FileKind.TORCH_LEGACY: _legacy,
    FileKind.DEPLOYMENT: _deployment,
}


def _parse(content: Content, read: Callable[[], Any]) -> Any:
    """Call ``read`` and turn its ValueError into a ModelFileError."""
    try:
        return read()
    except ModelFileError:
        raise
    except ValueError as fault:
        raise ModelFileError(f"is not a valid {_FORMAT_NAMES[content.kind]}: {fault}") from None


_FORMAT_NAMES = {
    FileKind.JSON: "file of rockpool's module.save()",
    FileKind.SAFETENSORS: "safetensors file",
    FileKind.TORCH: "file of torch.save",
    FileKind.TORCH_LEGACY: "file of torch.save",
}


# ---- weights and modules ----


def _build(options: _Options) -> nn.Module:
    from toolchain.frontends.files.factory import build

    if options.factory is None:
        raise ModelFileError(
            "contains weights without a network definition; "
            "toolchain.load(path, factory='module:function', sample=...) calls that function to "
            "build the network, and returns a Graph for deploy"
        )
    if options.sample is None:
        raise ModelFileError("needs sample=, an example input for the network's forward()")
    return build(options.factory)


def _from_weights(saved: Any, content: Content, options: _Options) -> Graph:
    from toolchain.frontends.files.weights import fill, find_weights

    weights, entry = find_weights(saved, options.entry)
    module = _build(options)
    notes = fill(module, weights)
    if kept := notes.get("kept_from_factory"):
        where = visible(str(content.path), one_line=True)
        _LOG.warning("%s: has no %s; these are the factory's values", where, kept)
    if entry is not None:
        notes = {"entry": entry, **notes}
    return _extract(module, content, options, notes)


def _extract(
    module: nn.Module, content: Content, options: _Options, notes: Mapping[str, str]
) -> Graph:
    from toolchain.frontends.tracing.trace import extract

    graph = extract(module, options.sample, options.dt)
    where = {"file": content.path.name, "file_kind": content.kind.value}
    if options.factory is not None:
        where["factory"] = options.factory
    provenance = {**graph.provenance, **where, **notes}
    return Graph(graph.nodes, graph.edges, dt=graph.dt, provenance=provenance)


_NUMPY = (
    "; the numpy names are of single numbers saved with the weights, such as a best accuracy: "
    "save them as float(x)"
)


def _unpickle(content: Content, options: _Options, foreign: tuple[str, ...]) -> Graph:
    """Unpickle the file, which runs its code; only if the user trusts it."""
    names = ", ".join(foreign)
    if not options.trust_pickle:
        hint = _NUMPY if any(name.startswith("numpy.") for name in foreign) else ""
        raise ModelFileError(
            f"contains more than weights: loading it imports {names}{hint}. No code was run. "
            "Save only the weights, torch.save(model.state_dict(), ...), and load them with "
            "factory= and sample=; or, if you trust the file, pass trust_pickle=True, which runs "
            "the code that it names"
        )
    import torch

    where = visible(str(content.path), one_line=True)
    _LOG.warning("%s: unpickling, which imports %s", where, names)
    try:
        saved = torch.load(io.BytesIO(content.data), map_location="cpu", weights_only=False)
    except (ImportError, AttributeError) as fault:
        raise ModelFileError(f"an import of the pickle failed: {fault}") from fault
    except (EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as fault:
        raise ModelFileError(f"cannot be unpickled: {fault}") from fault
    if not isinstance(saved, torch.nn.Module):
        return _from_weights(_as_arrays(saved), content, options)
    if options.factory is not None:
        raise ModelFileError("contains a whole module; factory= applies only to weights")
    if options.sample is None:
        raise ModelFileError("needs sample=, an example input for the module's forward()")
    return _extract(saved, content, options, {"pickle": "trusted"})


def _as_arrays(saved: Any, depth: int = 0) -> Any:
    import torch

    from toolchain.frontends.files.tensors import as_array

    if isinstance(saved, torch.Tensor):
        return as_array(saved)
    if isinstance(saved, Mapping) and depth < 2:
        return {key: _as_arrays(value, depth + 1) for key, value in saved.items()}
    return saved
