"""The parts of paper 003's experiment that need no site."""

import json

import numpy as np
import pytest

from skerry.errors import DataError
from skerry.learn.federated.record.results import ClientResult, EvaluationResult, RoundResult
from skerry.testbed.experiments import load_experiment, read_results
from skerry.testbed.experiments.edge_federated.conclusions import conclude
from skerry.testbed.experiments.edge_federated.course import Course, rounds_to
from skerry.testbed.experiments.edge_federated.images import LACKING, TEST, divide, draw_rows, take_part
from skerry.testbed.experiments.edge_federated.messages import Division
from skerry.testbed.experiments.edge_federated.pictures import draw
from skerry.testbed.experiments.edge_federated.response import measure_response
from skerry.testbed.experiments.edge_federated.way import WAYS
from skerry.testbed.experiments.records import FILE
from skerry.testbed.experiments.results import Manifest

CLIENTS = ("edge-1", "edge-2", "edge-3")


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 10, 3000).astype(np.uint8)


@pytest.mark.parametrize("kind", ["labels", "dirichlet"])
def test_every_image_has_one_client_and_the_same_seed_gives_the_same_ones(labels, kind):
    division = Division(kind=kind, clients=CLIENTS, seed=4)
    parts = divide(labels, division)

    assert sorted(np.concatenate(parts)) == list(range(3000))
    for one, other in zip(parts, divide(labels, division), strict=True):
        np.testing.assert_array_equal(one, other)
    other_seed = divide(labels, division.model_copy(update={"seed": 5}))
    assert not all(np.array_equal(one, other) for one, other in zip(parts, other_seed, strict=True))


def test_clients_of_the_papers_arm_lack_their_digits_and_have_few_images(labels):
    parts = divide(labels, Division(kind="labels", clients=CLIENTS, rows=200))
    for part, lacking in zip(parts, LACKING, strict=True):
        assert len(part) == 200
        assert set(labels[part]) == set(range(10)) - set(lacking)


def test_a_division_of_another_kind_is_refused(labels):
    with pytest.raises(DataError, match="choose dirichlet or labels"):
        divide(labels, Division(kind="fair", clients=CLIENTS))


def test_a_site_keeps_its_images_in_files_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("SKERRY_ENGINE", str(tmp_path / "engine.sock"))
    division = Division(data="digits", kind="labels", clients=CLIENTS, rows=50, test_rows=70)
    part, again = take_part(division, "edge-2"), take_part(division, "edge-2")

    assert part.images.shape == (50, 28, 28)
    np.testing.assert_array_equal(part.images, again.images)
    assert len(take_part(division, TEST)) == 70
    assert len(list(tmp_path.rglob("*.npy"))) == 4
    assert not list(tmp_path.rglob("*.draft"))
    with pytest.raises(DataError, match="no client 'edge-9'"):
        take_part(division, "edge-9")


def test_a_client_draws_a_share_of_its_images_anew_in_each_round():
    drawn = draw_rows(90, 1 / 3, seed=1)
    assert len(set(drawn)) == 30
    assert not np.array_equal(drawn, draw_rows(90, 1 / 3, seed=2))
    np.testing.assert_array_equal(draw_rows(5, 1.0, seed=1), range(5))
    assert len(draw_rows(2, 0.01, seed=1)) == 1


def result(number, accuracy, **more):
    reply = ClientResult(
        client="edge-1", examples=9, metrics={"accuracy": accuracy / 2, "loss": 2.0}, peak_memory_bytes=10 * number
    )
    values = {
        "round": number,
        "started_at": 10.0,
        "ended_at": 13.0,
        "chosen": ("edge-1",),
        "replies": (reply,),
        "evaluations": {"server": EvaluationResult(examples=5, metrics={"accuracy": accuracy, "loss": 1 - accuracy})},
        "phases_s": {"send": 0.1, "wait": 2.0, "train": 1.5, "aggregate": 0.2, "evaluate": 0.7},
        "bytes_down": 400,
        "bytes_up": 300,
        "model_digest": f"digest {number}",
    }
    return RoundResult(**{**values, **more})


def test_rounds_become_measures():
    course = Course()
    for number, accuracy in enumerate((0.5, 0.9, 0.85), start=1):
        course.take(result(number, accuracy))
    values = course.values()

    assert (values["global_accuracy"], values["best_accuracy"], values["rounds_to_82"]) == (0.85, 0.9, 2)
    assert "rounds_to_99" not in values
    assert values["client_accuracy"] == pytest.approx(0.425)
    assert (values["round_s"], values["waiting_s"]) == (3.0, 0.5)
    assert (values["bytes_sent_per_round"], values["peak_memory_bytes"]) == (400, 30)
    assert course.notes()["model_digest"] == "digest 3"
    assert rounds_to([0.1, 0.2], 0.5) is None
    with pytest.raises(DataError, match="not evaluated"):
        course.take(result(4, 0.9, evaluations={}))


def test_what_is_added_to_a_training_is_the_worst_of_the_medians():
    def times(added_s):
        return {
            "cold": [1.0 + 2 * added_s, 1.1, 9.0],
            "cold_train": [1.0, 1.0, 1.0],
            "warm": [1.0 + added_s, 5.0 + added_s, 1.0 + added_s],
            "warm_train": [1.0, 5.0, 1.0],
            "bare": [1.0, 1.0, 1.0],
            "bare_train": [1.0, 1.0, 1.0],
        }

    values = measure_response({1: times(0.01), 10: times(0.02)})
    assert values["warm_overhead_s"] == pytest.approx(0.02)
    assert values["cold_overhead_s"] == pytest.approx(0.1)
    assert values["training_response_warm_s"] == pytest.approx(1.02)
    assert values["training_response_bare_s"] == 1.0


def write_run(folder, trials, **options):
    folder.mkdir()
    experiment, target = load_experiment("edge-federated")
    Manifest(
        experiment=experiment.name,
        target=target,
        title=experiment.title,
        question=experiment.question,
        arms={arm.name: arm.title for arm in experiment.arms},
        measures=experiment.all_measures,
        pairs=experiment.pairs,
        options=experiment.settle(options),
        seed=1,
        place="paper-003",
        begun="2026-01-01",
    ).save(folder)
    lines = [{"kind": "session", "environment": {}, "place": {}, "repeats": 1}]
    lines += [{"kind": "trial", "repeat": 0, "seed": 1, "session": 0, "values": {}, **trial} for trial in trials]
    (folder / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_results(folder)


def notes(*accuracy):
    return {"accuracy": accuracy, "loss": [1.0] * len(accuracy), "client_accuracy": {"edge-1": accuracy}}


def test_conclusions_say_what_was_met_and_what_was_not(tmp_path):
    trials = [
        {
            "arm": "best",
            "notes": notes(0.8, 0.85, 0.991),
            "values": {"peak_memory_bytes": 3e8, "serving_memory_bytes": 8e7, "wrong_answers": 0, "load_average": 7},
        },
        {"arm": "paper", "notes": notes(0.6, 0.7), "values": {}},
        {"arm": "flower", "notes": {"left_out": "Flower is not installed here"}, "values": {}},
        {"arm": "response", "values": {"warm_overhead_s": 0.01, "warm_difference_s": 0.02}},
    ]
    said = " ".join(conclude(write_run(tmp_path / "run", trials, rounds="3")))

    assert "passed 82 % in round 2; the bar of 3 rounds is met" in said
    assert "passed 99 % in round 3; the bar of 20 rounds is met" in said
    assert "ended at 70.0 %, where the paper has 82 %; it never reached 82 %" in said
    assert "the enforced limit of 200 MiB is not met" in said
    assert "the enforced limit of 100 MiB is met" in said
    assert "Flower is not installed here." in said
    assert "the bar of 20 ms is met. The paper has 50 ms." in said
    assert "load average was up to 7.0" in said
    assert "This run was shortened (rounds)" in said


def test_conclusions_and_pictures_of_a_run_that_has_hardly_begun_are_empty(tmp_path):
    results = write_run(tmp_path / "run", [])
    assert conclude(results) == []
    assert not any(points for one in draw(results) for points in one.lines.values())


def test_pictures_have_a_point_for_each_round(tmp_path):
    results = write_run(tmp_path / "run", [{"arm": "best", "notes": notes(0.5, 0.9)}])
    by_name = {one.name: one for one in draw(results)}
    assert by_name["global-accuracy"].lines["best"] == [(1.0, 0.5), (2.0, 0.9)]
    assert by_name["client-accuracy-best"].lines == {"edge-1": [(1.0, 0.5), (2.0, 0.9)]}
    assert len({one.name for one in draw(results)}) == len(draw(results))


def test_every_way_is_that_of_an_arm():
    experiment, _ = load_experiment("edge-federated")
    assert set(WAYS) < {arm.name for arm in experiment.arms}
    assert WAYS["paper"].settings.epochs == 10
    assert WAYS["paper"].rounds == 50
