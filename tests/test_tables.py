import builtins
import sys
import types

from tests.oracles.artifacts import DATA
from toolchain import Deployment
from toolchain.tables import render


class ZMQInteractiveShell:
    """What the shell of a notebook is called: rich looks for this name."""


def test_text_is_the_same_within_a_notebook(monkeypatch):
    deployment = Deployment.load(DATA / "speck2f-common")
    outside = render(deployment)
    display = types.ModuleType("IPython.display")
    display.display = lambda *_parts, **_rest: None
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    assert len(outside) > 100
    assert render(deployment) == outside
