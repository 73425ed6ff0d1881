"""Names of approximations, and the errors about unknown names."""

from pathlib import Path

import numpy as np
import pytest

from toolchain import compare_chips, deploy
from toolchain.chips.allow import NAMES, accepted_names
from toolchain.chips.load import families, load_family
from toolchain.ir import Graph, Input, Linear, Neuron, Output

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "fidelity.md").read_text(encoding="utf-8")
OWN = {family.NAME: family.APPROXIMATIONS for family in families()}


def small():
    lif = {"alpha_mem": 0.875, "alpha_syn": [0.75], "v_threshold": 1.0}
    nodes = {"input": Input(shape=(2,)), "w": Linear(weight=np.eye(2))}
    nodes["h"] = Neuron(shape=(2,), max_spikes=31, **lif)
    nodes |= {"v": Linear(weight=np.eye(2)), "out": Neuron(shape=(2,), max_spikes=1, **lif)}
    return Graph.chain({**nodes, "output": Output()}, dt=1e-3)


def test_every_name_is_in_the_vocabulary_and_some_family_has_it():
    assert {name for names in OWN.values() for name in names} == set(NAMES)


def test_the_documentation_lists_each_with_its_families_and_meaning():
    for name, meaning in NAMES.items():
        titles = [load_family(f).TITLE for f in sorted(OWN, reverse=True) if name in OWN[f]]
        assert f"| `{name}` | {' and '.join(titles)} | {meaning} |\n" in PAGE
    for family, names in OWN.items():
        page = (DOCS / f"{family}.md").read_text(encoding="utf-8")
        assert all(f"`{name}`" in page for name in names)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(
        ValueError, match=r"^unknown approximation skip for Speck; available: gt->ge, del"
    ):
        deploy(small(), "speck", allow=["skip"])


@pytest.mark.parametrize("allow", [None, 3])
def test_names_are_asked_for(allow):
    text = rf"^allow must be names of approximations, got {allow}; available: gt->ge, del"
    with pytest.raises(ValueError, match=text):
        deploy(small(), "speck", allow=allow)
    with pytest.raises(ValueError, match=rf"of approximations, got {allow}; there are gt->ge, "):
        compare_chips(small(), allow=allow)


def test_a_name_of_another_family_is_refused_as_such():
    text = (
        r"^approximation delays->hops is not available on Speck, only on another chip family; "
        r"available: gt->ge, delayed_reset->same_step, spike_cap->chip_cap, "
        r"exponential_leak->linear_leak$"
    )
    with pytest.raises(ValueError, match=text):
        deploy(small(), "speck", allow=["gt->ge", "delays->hops"])
    with pytest.raises(
        ValueError, match=r"^approximation exponential_leak->linear_leak is not available on X"
    ):
        deploy(small(), "xylo", allow=["exponential_leak->linear_leak"])


def test_names_come_in_the_familys_order_and_one_may_stand_for_itself():
    known = OWN["xylo"]
    assert accepted_names("Xylo", known, [*reversed(known)]) == known
    assert accepted_names("Xylo", known, "gt->ge") == ("gt->ge",)
    assert accepted_names("Xylo", known, ()) == ()


def test_names_that_change_nothing_change_nothing():
    plain, allowed = deploy(small(), "xylo"), deploy(small(), "xylo", allow=OWN["xylo"])
    assert allowed.ledger == plain.ledger
    assert str(allowed.program) == str(plain.program)
