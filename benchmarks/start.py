"""Processor time of a new process: imports, first simulations with and without compiled code."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.measure import Child, in_process, load, yardstick

__all__ = ["figures"]

PACKAGES = "import networkx, numpy, pydantic; from pydantic import BaseModel"
XYLO = """
import numpy as np
from toolchain.chips.xylo import XyloProgram, simulate
program = XyloProgram.from_specification(
    "xylo_a2", weights_in=np.full((16, 63), 9), weights_out=np.full((63, 8), 9), dash_mem=4,
    dash_syn=4, dash_mem_out=4, dash_syn_out=4, threshold=500, threshold_out=500,
)
simulate(program, np.ones((100, 16), np.uint8), record=True)
"""
SPECK = """
import numpy as np
from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram, simulate
core = SpeckCore(
    name="spk", weight_name="conv", weight=np.full((2, 3, 3, 3), 5), input_shape=(3, 8, 8),
    threshold_high=10, monitor=True,
)
program = SpeckProgram(
    chip="speck2f", dt=1e-3, input_shape=(3, 8, 8), cores=(core,),
    inputs=(Destination(layer="spk"),), outputs=("spk",),
)
simulate(program, np.ones((3, 3, 8, 8), np.uint8))
"""
CASES = {"Xylo": XYLO, "Speck": SPECK}


def measured(before: str, code: str, caches: str | None, repeats: int) -> Child:
    """Run ``code`` in new processes, after ``before``."""
    text = f"""
{before}
from benchmarks.measure import report
report(lambda: lambda: exec({code!r}, {{}}))
"""
    return in_process("-c", text, repeats=repeats, caches=caches)


def figures(repeats: int) -> Iterator[Figure]:
    """Yield the times of an import, of chip files and of first simulations, s."""
    single = {"unit": "s", "better": "less", "scale": yardstick()}
    # the first run writes the bytecode, as pip does on installation
    measured("", "import toolchain", None, 1)
    packages = measured("", PACKAGES, None, repeats).cpu
    for name, before, code in (
        ("import toolchain, beyond numpy, networkx and pydantic", PACKAGES, "import toolchain"),
        ("load_chip('speck') in a new process, after the import", "import toolchain",
         "import toolchain; toolchain.load_chip('speck')"),
    ):  # fmt: skip
        child = measured(before, code, None, repeats)
        yield Figure(
            name=name, value=child.cpu, cpu=child.cpu, wall=child.wall, load=load(), **single
        )
        if name.startswith("import"):
            yield Figure(
                name="import toolchain against that of numpy, networkx and pydantic",
                value=child.cpu / packages, unit="x", better="less", load=load(), limit=1.0,
            )  # fmt: skip
    for family, code in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            for name, count in (("empty cache", 1), ("warm cache", repeats)):
                child = measured("", code, folder, count)
                yield Figure(
                    name=f"first simulation in a new process, {family}, {name}",
                    value=child.whole, cpu=child.whole, wall=child.wall, load=load(), **single,
                )  # fmt: skip
