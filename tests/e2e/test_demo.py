import gzip
import html.parser
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skerry.errors import ModelRejectedError
from skerry.spec import ModelReference
from skerry.store.models import ModelRepository
from skerry.store.objects import open_store

RUN = Path(__file__).resolve().parents[2] / "examples" / "demo" / "run.py"
REPORT_PARTS = (
    "The search",
    "The published model",
    "Response times",
    "Scaling",
    "Sample predictions",
)
COMPARISON = "One worker and more"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


MARK = "SKERRY_DEMO_TEST"  # every process that the demo starts inherits it, and is found by it


def environment(output, **variables):
    return {**os.environ, **variables, MARK: str(output)}


def run_demo(*arguments, output, timeout_s=400, **variables):
    command = [sys.executable, str(RUN), "--output", str(output), *map(str, arguments)]
    return subprocess.run(
        command, env=environment(output, **variables), capture_output=True, text=True, timeout=timeout_s, check=False
    )


@pytest.fixture
def run_here(monkeypatch, capsys):
    """Run the demo's program in this process, which keeps the libraries; return its exit code and what it said."""

    def run(*arguments):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(RUN.parent)
            patch.setattr(sys, "argv", [str(RUN), *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(str(RUN), run_name="__main__")
        return ended.value.code, capsys.readouterr().err

    before = set(sys.modules)
    yield run
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == RUN.parent:
            del sys.modules[name]


@pytest.fixture
def few_digits(tmp_path):
    """Some of the digits in a file of that name, for runs that need not come to their end: they are searched sooner."""
    from sklearn.datasets import load_digits

    features, labels = load_digits(return_X_y=True)
    path = tmp_path / "digits.csv"
    head = [*(f"p{column}" for column in range(features.shape[1])), "label"]
    rows = ([*row, label] for row, label in zip(features[:200], labels[:200], strict=True))
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in (head, *rows)))
    return path


def models_of(output):
    return ModelRepository(open_store(str(output / "models")))


def start_demo(output, *arguments):
    command = [sys.executable, "-u", str(RUN), "--quick", "--output", str(output), *arguments]
    return subprocess.Popen(command, env=environment(output), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def processes_of(output):
    mark = f"{MARK}={output}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_for(condition, *, limit_s, what):
    ends_at = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < ends_at, f"{what} within {limit_s} s"
        time.sleep(0.02)


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.places = []
        self.ids = []

    def handle_starttag(self, tag, attributes):
        assert tag not in {"script", "link", "iframe"}
        for name, value in attributes:
            if name in {"src", "href", "xlink:href"}:
                self.places.append(value)
            if name == "id":
                self.ids.append(value)


def test_the_demo_trains_publishes_serves_and_reports_also_after_a_run_that_was_interrupted(tmp_path, few_digits):
    output = tmp_path / "out"
    interrupt_demo(output, "by digits@1", "--workers", "1", "--data", str(few_digits))
    first_version = models_of(output).manifest("digits", 1)
    assert sorted(first_version.files) == ["model.onnx", "sample.json"]

    # What a killed run leaves behind is no obstacle, and no version is ever overwritten.
    (output / "engine-999999999").mkdir()
    done = run_demo("--quick", output=output)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "the same answer" in done.stdout
    assert "by digits@2" in done.stdout
    assert "\x1b" not in done.stdout
    models = models_of(output)
    assert models.manifest("digits", 1) == first_version
    assert models.aliases("digits") == {"production": 2}
    assert not list(output.glob("engine-*"))
    assert processes_of(output) == []

    page = (output / "report.html").read_text()
    for part in (*REPORT_PARTS, COMPARISON):
        assert f"</small>{part}</h2>" in page
    links = Links()
    links.feed(page)
    assert all(place.startswith(("data:image/png;base64,", "#")) for place in links.places)
    assert len(links.ids) == len(set(links.ids))
    assert not re.search(r"url\((?!#)", page)

    version = models.manifest("digits", 2)
    assert sorted(version.files) == ["model.onnx", "sample.json"]
    assert version.metrics["test_accuracy"] > 0.95
    assert version.about["export"]["compared_rows"] == 360
    assert f"differ by at most {version.about['export']['worst_difference']:.1e}" in page


def test_own_texts_are_searched_published_without_pickle_and_served_and_the_home_stays_as_it_was(tmp_path):
    animals, cars = "cat purrs meows whiskers fur paws", "engine wheels brakes road petrol gear"
    texts = {str(i): " ".join((animals if i % 2 else cars).split()[i % 3 :]) + f" number{i}" for i in range(60)}
    labels = {str(i): "ANIMAL" if i % 2 else "CAR" for i in range(60)}
    data = tmp_path / "texts.json.gz"
    data.write_bytes(gzip.compress(json.dumps({"model": "mnb", "x_dict": texts, "y_dict": labels}).encode()))
    home, output = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    arguments = ("--quick", "--workers", "1", "--data", data)
    done = run_demo(*arguments, output=output, HOME=str(home), MPLCONFIGDIR=str(tmp_path / "drawing"))
    assert done.returncode == 0, done.stdout + done.stderr
    page = (output / "report.html").read_text()
    assert all(f"</small>{part}</h2>" in page for part in REPORT_PARTS)
    assert COMPARISON not in page  # of a single number of workers there is nothing to compare
    assert processes_of(output) == []
    manifest = models_of(output).resolve(ModelReference.parse("texts@production"))
    assert sorted(manifest.files) == ["model.onnx", "sample.json"]
    assert (manifest.inputs[0].dtype, manifest.labels) == ("string", ("ANIMAL", "CAR"))
    assert "100.0% of 12 held-out rows right" in done.stdout
    assert list(home.iterdir()) == []
    # What the cache keeps read-only is gone, so that a person can remove the folder.
    assert list((output / "cache" / "versions").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("a,b\n1,2\n", "no column 'label'"),
        ("a,label\n1,x\nz,y\n", "'z' is no number"),
        ("a,label\n" + "\n".join(f"{i},x" for i in range(40)), "a classifier needs two classes"),
        ("a,label\n" + "\n".join(f"{i},{'x' if i < 18 else 'y'}" for i in range(20)), "fewer than the 3 folds"),
    ],
    ids=["no file", "no label", "no number", "one class", "a small class"],
)
def test_data_that_cannot_be_used_are_refused_with_a_clear_message(tmp_path, run_here, monkeypatch, content, message):
    data, output = tmp_path / "own.csv", tmp_path / "out"
    monkeypatch.setenv(MARK, str(output))
    if content is not None:
        data.write_text(content)
    code, said = run_here("--data", data, "--output", output)
    assert code == 2
    assert message in said
    assert "Traceback" not in said
    assert processes_of(output) == []


def test_a_wrong_number_of_workers_is_refused(tmp_path):
    done = run_demo("--workers", "0", output=tmp_path)
    assert done.returncode == 2
    assert "write numbers from 1 to 64" in done.stderr


def test_a_model_that_cannot_be_exported_is_not_published(tmp_path, monkeypatch):
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MinMaxScaler

    from skerry.learn.search import Settings, load_digits, search

    monkeypatch.syspath_prepend(RUN.parent)
    import publishing

    data = load_digits(root=tmp_path)
    pipeline = Pipeline([("scale", MinMaxScaler()), ("model", NearestCentroid())])
    settings = Settings(holdout=publishing.HOLDOUT)
    result = search(data, pipeline, {"model__shrink_threshold": [None]}, folds=publishing.FOLDS, settings=settings)
    models = models_of(tmp_path)
    with pytest.raises(ModelRejectedError, match="NearestCentroid"):
        publishing.publish(models, "digits", data, "centroids", result)
    assert models.names() == []


@pytest.mark.parametrize("moment", ["Skerry demo", "no worker yet", "1 worker:"])
def test_ctrl_c_ends_the_demo_and_leaves_no_process(tmp_path, moment, few_digits):
    interrupt_demo(tmp_path / "out", moment, "--data", str(few_digits))


def interrupt_demo(output, moment, *arguments):
    """Press Ctrl-C once the demo has said something."""
    with start_demo(output, *arguments) as process:
        read_until(process, moment)
        if moment in {"1 worker:", "by digits@1"}:
            assert len(processes_of(output)) >= 3  # the demo, the engine and its zygote
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said == "\ninterrupted; nothing is left running\n"
    wait_for(lambda: not processes_of(output), limit_s=20, what="all processes end")
    assert not list(output.glob("engine-*"))


def test_a_killed_demo_leaves_no_process(tmp_path, few_digits):
    output = tmp_path / "out"
    with start_demo(output, "--data", str(few_digits)) as process:
        read_until(process, "1 worker:")
        process.kill()
    wait_for(lambda: not processes_of(output), limit_s=30, what="all processes end")


def read_until(process, text):
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"the demo ended before it said {text!r}: {process.stderr.read()}")
