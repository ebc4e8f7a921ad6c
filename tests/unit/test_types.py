import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "types"
ERROR = re.compile(r"^[^:]+:(\d+): error: .*\[([a-z-]+)\]$")
MARK = re.compile(r"# error: (.+)$")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def done():
    """One run of mypy over both files, which import the same."""
    files = [str(EXAMPLES / name) for name in ("positive.py", "negative.py")]
    command = [sys.executable, "-m", "mypy", "--no-pretty", "--config-file", str(ROOT / "pyproject.toml"), *files]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)


def errors_in(file, done):
    lines = [line for line in done.stdout.splitlines() if Path(line.split(":")[0]).name == file.name]
    found = {}
    for line in lines:
        match = ERROR.match(line)
        if match:
            found.setdefault(int(match[1]), []).append(match[2])
    return {line: sorted(codes) for line, codes in found.items()}


def test_types_survive_the_decorator(done):
    found = errors_in(EXAMPLES / "positive.py", done)

    assert done.returncode in (0, 1), done.stderr
    assert found == {}, done.stdout


def test_wrong_uses_are_refused_exactly_where_they_are(done):
    file = EXAMPLES / "negative.py"
    expected = {}
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        mark = MARK.search(line)
        if mark:
            expected[number] = sorted(code.strip() for code in mark[1].split(","))

    found = errors_in(file, done)

    assert expected
    assert found == expected, done.stdout
