"""Options that apply to Speck only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolchain.chips.contract import Options

__all__ = ["SpeckOptions", "speck_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeckOptions(Options):
    """Options of ``deploy`` and ``Deployment.compare`` on Speck.

    Attributes:
        placement: core ids by layer, for layers that are to be there; the others are placed around
            them, and all of it is checked by the same rules. A list has the core of every layer,
            in the order in which ``Deployment.placement`` names them.
        readout: settings of the block that names the class that fires most, fields of
            ``toolchain.chips.speck.Readout``, and ``layer`` where there are several outputs; ``{}``
            for the usual ones, None leaves the block off.
        permutations: in how many random orders ``compare`` tries simultaneous events.

    >>> SpeckOptions(placement={"conv1": 0}).placement
    {'conv1': 0}
    """

    placement: Mapping[str, int] | Sequence[int] | None = None
    readout: Mapping[str, Any] | None = None
    permutations: int = 0

    def __post_init__(self) -> None:
        """Copy mappings that the caller could change later; ValueError for another type."""
        for name in ("placement", "readout"):
            value = getattr(self, name)
            object.__setattr__(self, name, dict(value) if isinstance(value, Mapping) else value)
        given: Any = self.placement
        if hasattr(given, "tolist"):  # an array or a tensor
            given = given.tolist()
        if isinstance(given, Sequence) and not isinstance(given, str):
            object.__setattr__(self, "placement", tuple(given))
        elif given is not None and not (isinstance(given, Mapping) and _are_names(given)):
            raise ValueError(
                'placement must be core ids by the name of the layer, as {"conv1": 0}, or a list '
                f"of them in the order of the layers, got {given!r:.80}; leave it out to have "
                "cores chosen"
            )

    def cores(self, layers: Sequence[str]) -> Mapping[str, int] | None:
        """Return the core ids by layer.

        Args:
            layers: names of all layers, in their order.

        Raises:
            ValueError: a list that is not as long as ``layers``.

        >>> SpeckOptions(placement=[0, 4]).cores(["conv1", "conv2"])
        {'conv1': 0, 'conv2': 4}
        """
        given = self.placement
        if given is None or isinstance(given, Mapping):
            return given
        if len(given) != len(layers):
            raise ValueError(
                f"placement lists {len(given)} cores for {len(layers)} layers: "
                f"{', '.join(layers)}; name those that are to have one, as "
                f"{{{layers[0]!r}: {given[0] if given else 0}}}"
            )
        return dict(zip(layers, given, strict=True))


def _are_names(given: Mapping[Any, Any]) -> bool:
    return all(isinstance(name, str) for name in given)


def speck_options(options: Options) -> SpeckOptions:
    """Return the options of this family; options of the contract have its defaults.

    Raises:
        ValueError: options of another family.
    """
    if type(options) is Options:
        return SpeckOptions()
    if not isinstance(options, SpeckOptions):
        raise ValueError(f"Speck takes SpeckOptions, got {type(options).__name__}")
    return options
