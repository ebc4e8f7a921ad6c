import re

import pytest

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\n"])*)"')


def unescape(text):
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text)


def read(text):
    """Read the samples as a scraper would; every line must be one of those that the format knows."""
    samples = {}
    for line in text.decode().removesuffix("\n").split("\n"):  # a line ends at nothing else that Unicode knows
        if not line or line.startswith(("# HELP ", "# TYPE ")):
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        key = found[1], tuple((name, unescape(value)) for name, value in LABEL.findall(found[2] or ""))
        assert key not in samples
        samples[key] = float(found[3])
    return samples


@pytest.fixture(scope="session")
def read_metrics():
    return read
