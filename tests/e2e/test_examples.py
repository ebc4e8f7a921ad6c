import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SAID = {
    "async_fan_out.py": "station-6 with 14.5 degrees\nall at once\n",
    "batching.py": (
        "here: (1.0, 1)\none: (2.0, 1)\nin order: [1.0, -1.0, 3.0]\nfailed alone: 16 of 64\nbatched: True\n"
        "lengths: [1, 2, 3]\n"
    ),
    "chain.py": (
        "separated: 15 words on 5 pages\nleft out: page 3\nfused: 15 words on 5 pages\nleft out: page 3\n"
        "not ordered: 2\nstill reserved: 0\n"
    ),
    "class_handler.py": "['eins', 'zwei', 'drei']\nnot known\n",
    "echo.py": "here: A PLAIN CALL STAYS A PLAIN CALL\nremote: HELLO\nmap: ['A', 'B', 'C']\njob: LATER\n",
    "events.py": "org.example.alarm oven-1 {'celsius': 75}\norg.example.fine {'celsius': 20}\n",
    "federate_numpy.py": "more than 0.8 are known: True\n",
    "federate_sklearn.py": "more than 0.8 are known: True\n",
    "federate_torch.py": "more than 0.8 are known: True\n",
    "fraud.py": "separated: the same as in one process: True\nfused: the same as in one process: True\n",
    "kmeans_state.py": "every worker did as many rounds: True\nthe same centroids as scikit-learn: True\n",
    "file_drop.py": "files: 8\nbyte for byte as in this process: True\n",
    "map_reduce.py": "34 words so far\n[('the', 7), ('is', 3), ('and', 2)]\n",
    "prognostics.py": (
        "pump-1: both layers together as all at once: True\npump-1: alarm 13 cycles before its failure\n"
        "pump-2: both layers together as all at once: True\npump-3: both layers together as all at once: True\n"
    ),
    "search_news.py": "best parameters: {'alpha': 0.1, 'fit_prior': True}\n",
    "streaming.py": (
        "here: ['h', 'e', 'r', 'e']\nstream: Letter(letter='h', place=1)\nstream: Letter(letter='i', place=2)\n"
        "remote: 14 letters\nenough at 42\nasync: ['tick 0', 'tick 1', 'tick 2']\n"
        'events: [\'data: {"letter":"a","place":1}\', \'data: {"letter":"b","place":2}\']\n'
    ),
}


def test_every_example_is_run_here():
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(SAID)


@pytest.mark.timeout(600)  # on a busy machine an example that trains takes minutes
@pytest.mark.parametrize("name", sorted(SAID))
def test_the_example_runs_and_says_what_it_should(name, tmp_path):
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert SAID[name] in done.stdout


@pytest.mark.parametrize("name", sorted(SAID))
def test_the_example_fits_on_a_page_and_says_how_to_run_it(name):
    text = (EXAMPLES / name).read_text()
    assert len(text.splitlines()) <= 120
    assert f"Run: python examples/{name}" in text
