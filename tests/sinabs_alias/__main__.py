"""Run the tests of sinabs on the layers, hooks and helpers of this project.

    python -m tests.sinabs_alias

Takes the tests from sinabs' source distribution and runs them with the names of ``alias.py``, in
the environment of ``tests/oracles/requirements-sinabs.txt``. Fails if a test fails that
``not_supported.yaml`` does not list, or if one that it lists passes.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.sinabs_alias.listed import Listed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / "build" / "sinabs"
REQUIREMENTS = ROOT / "tests" / "oracles" / "requirements-sinabs.txt"


def requirement() -> str:
    """Return the pinned requirement, such as ``sinabs==3.1.3``."""
    lines = REQUIREMENTS.read_text().splitlines()
    return next(line for line in lines if line.startswith("sinabs=="))


def distribution() -> Path:
    """Return the source distribution, downloaded unless it is there."""
    pinned = requirement()
    path = CACHE / f"{pinned.replace('==', '-')}.tar.gz"
    if not path.exists():
        options = ["--quiet", "--no-deps", "--no-binary", "sinabs", "--dest", str(CACHE)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, pinned], check=True)
    return path


def unpacked(archive: Path, folder: Path) -> list[Path]:
    """Unpack the tests into ``folder``; return the test files, relative to it."""
    with tarfile.open(archive) as tar:
        top = tar.getnames()[0].split("/")[0]
        members = [m for m in tar.getmembers() if m.name.startswith(f"{top}/tests/")]
        tar.extractall(folder, members, filter="data")
    source = folder / top
    return sorted(path.relative_to(source) for path in source.rglob("test_*.py"))


def outcomes(folder: Path, files: list[Path]) -> dict[str, str]:
    """Return the outcome of every test by its id; those of pytest are printed where they fail."""
    written = folder / "outcomes.json"
    paths = os.pathsep.join(map(str, (HERE, ROOT)))
    environment = {**os.environ, "PYTHONPATH": paths, "OUTCOMES": str(written)}
    options = ["-q", "--tb=short", "-W", "ignore", "-p", "alias", "-p", "outcomes"]
    options += ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, files)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "report.txt").write_text(done.stdout + done.stderr)
    if not written.exists():
        raise SystemExit(done.stdout + done.stderr)
    return dict(json.loads(written.read_text()))


def main() -> int:
    """Print the counts and what differs from the list; return 1 if anything does."""
    listed = Listed.read()
    with tempfile.TemporaryDirectory() as name:
        files = unpacked(distribution(), Path(name))
        top = next(path for path in Path(name).iterdir() if path.is_dir())
        wrong = [f"listed, but not there: {path}" for path in listed.unknown_files(files)]
        found = outcomes(top, [path for path in files if not listed.leaves_out(path)])
    counts = {kind: [*found.values()].count(kind) for kind in ("passed", "failed", "skipped")}
    lines = [", ".join([requirement(), *(f"{count} {kind}" for kind, count in counts.items())])]
    lines += [f"not supported: {len(listed.tests)} tests, and {len(listed.files)} paths not run"]
    failed = {test for test, outcome in found.items() if outcome == "failed"}
    wrong += [f"fails, and is not listed: {test}" for test in sorted(failed - listed.tests.keys())]
    wrong += [f"listed, but does not fail: {t}" for t in sorted(listed.tests.keys() - failed)]
    if wrong:
        wrong += [f"output of pytest: {CACHE / 'report.txt'}"]
    sys.stdout.writelines(f"{line}\n" for line in (*lines, *wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
