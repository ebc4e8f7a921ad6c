import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "types"
ERROR = re.compile(r"^[^:]+:(\d+): error: .*\[([a-z-]+)\]$")
MARK = re.compile(r"# error: (.+)$")


def run_mypy(file):
    command = [sys.executable, "-m", "mypy", "--no-pretty", "--config-file", str(ROOT / "pyproject.toml"), str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    lines = [line for line in done.stdout.splitlines() if Path(line.split(":")[0]).name == file.name]
    found = {}
    for line in lines:
        match = ERROR.match(line)
        if match:
            found.setdefault(int(match[1]), []).append(match[2])
    return {line: sorted(codes) for line, codes in found.items()}, done


@pytest.mark.slow
def test_types_survive_the_decorator():
    found, done = run_mypy(EXAMPLES / "positive.py")

    assert done.returncode in (0, 1), done.stderr
    assert found == {}, done.stdout


@pytest.mark.slow
def test_wrong_uses_are_refused_exactly_where_they_are():
    file = EXAMPLES / "negative.py"
    expected = {}
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        mark = MARK.search(line)
        if mark:
            expected[number] = sorted(code.strip() for code in mark[1].split(","))

    found, done = run_mypy(file)

    assert expected
    assert found == expected, done.stdout
