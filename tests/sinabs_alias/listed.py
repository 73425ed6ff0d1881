"""The list of sinabs' tests that are not supported, each with a reason."""

from dataclasses import dataclass
from pathlib import Path, PurePath

from ruamel.yaml import YAML

LIST = Path(__file__).with_name("not_supported.yaml")
MOST_TESTS = 25


@dataclass(frozen=True)
class Listed:
    """Files that are not run and tests that fail, with the reason of each."""

    files: dict[str, str]
    tests: dict[str, str]

    @classmethod
    def read(cls):
        content = YAML(typ="safe").load(LIST.read_text())
        files = {path: one["reason"] for one in content["files"] for path in one["paths"]}
        tests = {test: one["reason"] for one in content["tests"] for test in one["ids"]}
        return cls(files, tests)

    def leaves_out(self, path: PurePath) -> bool:
        return any(path.is_relative_to(one) for one in self.files)

    def unknown_files(self, paths):
        return [one for one in self.files if not any(path.is_relative_to(one) for path in paths)]
