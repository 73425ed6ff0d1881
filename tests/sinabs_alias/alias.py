"""sinabs' module names for the packages of this project, as a pytest plugin.

Only names are mapped, module by module: a user who writes ``import toolchain as sinabs`` and
``import toolchain.nn as sl`` gets the same objects. The one exception is ``ANNOUNCED``.
"""

import functools
import importlib
import sys
import warnings
from types import ModuleType

MODULES = {
    "sinabs": "toolchain",
    "sinabs.activation": "toolchain.nn",
    "sinabs.activation.surrogate_gradient_fn": "toolchain.nn",
    "sinabs.conversion": "toolchain.nn",
    "sinabs.from_torch": "toolchain.nn",
    "sinabs.hooks": "toolchain.synops",
    "sinabs.layers": "toolchain.nn",
    "sinabs.layers.channel_shift": "toolchain.nn",
    "sinabs.layers.iaf": "toolchain.nn",
    "sinabs.network": "toolchain.nn",
    "sinabs.nir": "toolchain.frontends.nir",
    "sinabs.synopcounter": "toolchain.synops",
    "sinabs.utils": "toolchain.nn",
}

# sinabs announces with a DeprecationWarning that it will remove these classes, and its tests
# expect the announcement first of all. They stay in this project, so it is issued here.
ANNOUNCED = ("SNNAnalyzer", "SynOpCounter")


class Alias(ModuleType):
    """A module whose names are those of another one."""

    def __init__(self, name, of):
        super().__init__(name)
        self.__path__ = []
        self._of = importlib.import_module(of)

    def __getattr__(self, name):
        found = getattr(self._of, name)
        return announced(found) if name in ANNOUNCED else found


def announced(cls):
    @functools.wraps(cls, updated=())
    def construct(*args, **kwargs):
        warnings.warn(f"sinabs will remove {cls.__name__}", DeprecationWarning, stacklevel=2)
        return cls(*args, **kwargs)

    return construct


def pytest_configure():
    for name, of in MODULES.items():
        module = sys.modules[name] = Alias(name, of)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
