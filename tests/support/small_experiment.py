"""An experiment that takes no time: two arms that call a function of their own."""

APP = """
import skerry

app = skerry.App("small")


@app.function(idempotent=True)
def double(number: int) -> int:
    return 2 * number
"""

EXPERIMENT = """
import os
import time
from pathlib import Path

from skerry.app.target import Target
from skerry.testbed.experiments import Arm, Experiment, Option, Outcome
from skerry.testbed.experiments.calls import call, measure_together

HERE = Path(__file__).parent


def run_arm(trial):
    import importlib.util

    spec = importlib.util.spec_from_file_location("small_app", HERE / "small_app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    one = call(module.double, trial.sites["edge-1"], trial.seed % 100)
    with (HERE / "ran.txt").open("a") as file:
        file.write(f"{trial.arm} {trial.repeat} {trial.seed}\\n")
    wait = HERE / "wait"
    while trial.repeat == 1 and wait.exists():
        time.sleep(0.01)
    print("an arm may print what it likes")
    if trial.options["fail"] == trial.arm and trial.repeat == 0 and not (HERE / "mended").exists():
        raise ValueError("this arm fails")
    values = measure_together([one], began_s=one.began_s, ended_s=one.ended_s)
    return Outcome(
        values={**values, "test_accuracy": (trial.seed % 100) / 100},
        notes={"answer": one.value, "client": os.getpid()},
        story=["It was called.", "It answered."],
    )


experiment = Experiment(
    name="small",
    title="A small one",
    question="Does it <work>?",
    arms=(
        Arm(name="first", title="calls once", run=run_arm),
        Arm(name="second", title="calls once as well", run=run_arm),
        Arm(name="rare", title="calls less often", run=run_arm, most_repeats=1),
    ),
    measures=("response_time_s", "test_accuracy", "bytes_sent", "upload_s", "compute_s"),
    sites=("edge-1",),
    app=str(HERE / "small_app.py"),
    repeats=3,
    options={"fail": Option(default="", title="the arm that fails")},
    pairs=(("first", "second"),),
    conclude=lambda results: [f"{len(results.trials)} trials, all's well & good."],
)
"""


def write_small_experiment(folder):
    """Write the experiment and its app into a folder and return the experiment's file."""
    (folder / "small_app.py").write_text(APP)
    path = folder / "small.py"
    path.write_text(EXPERIMENT)
    return path
