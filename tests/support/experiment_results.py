"""A finished run of an experiment, made up."""

import json
import random

from skerry.testbed.experiments.records import FILE
from skerry.testbed.experiments.results import Manifest

ARMS = {"edge-split": "near & <twice>", "cloud": "far", "edge-split-reference": "slow"}


def write_run(folder, *, repeats=6, factor=1.0, seed=1, target="somewhere.else:experiment", failed=False):
    """Write a run into a folder that is made; returns the folder."""
    folder.mkdir()
    Manifest(
        experiment="made",
        target=target,
        title="Made up",
        question="Is <b>this</b> safe?",
        arms=ARMS,
        measures=["response_time_s", "test_accuracy", "bytes_sent", "upload_s", "wall_s", "cpu_s", "load_average"],
        pairs=[["edge-split", "cloud"], ["edge-split", "edge-split-reference"]],
        options={"articles": "made"},
        seed=seed,
        place="6g-edge",
        begun="2026-01-01",
    ).save(folder)
    draw = random.Random(seed)
    session = {"environment": {"cores": 2}, "place": {"means": "tun"}, "repeats": repeats}
    lines = [{"kind": "session", **session}]
    for repeat in range(repeats):
        for number, arm in enumerate(ARMS):
            took_s = factor * (number + 1) * draw.uniform(0.9, 1.1)
            values = {"response_time_s": took_s, "test_accuracy": 0.9 + number / 100, "bytes_sent": 1e6, "wall_s": 2.0}
            lines.append(
                {"kind": "trial", "arm": arm, "repeat": repeat, "seed": repeat, "session": 0, "values": values}
            )
            lines[-1]["story"] = [f"{arm} <did> it"]
    if failed:
        lines.append({"kind": "trial", "arm": "cloud", "repeat": 99, "seed": 1, "session": 0, "error": "it <broke>"})
    (folder / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
