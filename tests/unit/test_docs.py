import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from skerry.runtime.frames import Codec, Kind

DOCS = Path(__file__).parents[2] / "docs"


def load_build() -> ModuleType:
    sys.path.insert(0, str(DOCS))
    try:
        spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DOCS))
    return module


build = load_build()
blocks = sys.modules["tools.blocks"]


def test_the_reference_is_what_the_code_says() -> None:
    assert build.stale_pages() == []


@pytest.mark.parametrize("name", build.CHECKS)
def test_the_documentation_passes_its_check(name: str) -> None:
    assert build.CHECKS[name]() == []


@pytest.mark.parametrize(
    "block", [b for b in blocks.find_blocks() if "run" in b.tags], ids=lambda block: f"{block.page}:{block.line}"
)
def test_a_block_tagged_run_runs(block) -> None:
    assert blocks.run(block) == []


def test_a_block_that_fails_is_reported_with_its_place() -> None:
    problems = blocks.run(blocks.Block("guide/some.md", 7, ("run",), "raise SystemExit('no')\n"))
    assert problems == ["guide/some.md, line 7: exit code 1: no"]


def test_a_block_sees_nothing_of_the_engine_and_the_models_of_who_runs_it(monkeypatch) -> None:
    for name in ("HOME", "MODELS", "MODEL_CACHE", "ENGINE", "SET"):
        monkeypatch.setenv(f"SKERRY_{name}", "/the/users")
    code = """
import os
from pathlib import Path

own = {name: value for name, value in os.environ.items() if name.startswith("SKERRY_")}
assert set(own) == {"SKERRY_HOME", "SKERRY_MODEL_CACHE"}, own
assert {Path(value).parent for value in own.values()} == {Path.cwd()}, own
"""
    assert blocks.run(blocks.Block("guide/some.md", 7, ("run",), code)) == []


def test_every_kind_and_codec_of_frames_is_documented() -> None:
    page = (DOCS / "concepts" / "frames.md").read_text()
    rows = set(re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.MULTILINE))
    assert rows == {(str(int(member)), member.name) for member in (*Kind, *Codec)}


def test_every_decision_has_the_three_parts_and_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text()
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    for page in pages:
        heads = re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)
        assert heads == ["Context", "Decision", "Consequences"], page.name
        assert f"decisions/{page.name}" in index
