import html
import json
import re
import xml.etree.ElementTree as ET

import pytest

from skerry.learn.federated.record.run_view import read_run
from skerry.learn.federated.report.page import render_report
from skerry.learn.federated.report.tallies import MEAN, evaluation_curves, phases, tally, training_curves
from support.federated_run import write_run


@pytest.fixture
def view(tmp_path):
    return read_run(write_run(tmp_path / "run", rounds=4))


def words_of(page):
    seen = re.sub(r"<svg.*?</svg>|<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return html.unescape(" ".join(seen.split()))


def test_every_client_is_counted_by_what_became_of_its_rounds(view):
    zero, one, two = tally(view)
    assert (zero.asked, zero.answered, zero.late, zero.missed, zero.refused) == (4, 3, 0, 1, 0)
    assert (one.asked, one.answered, one.late, one.missed, one.refused) == (4, 3, 0, 0, 1)
    assert (two.asked, two.answered, two.late, two.missed, two.refused) == (4, 3, 1, 0, 0)
    assert (two.median_s, two.median_train_s, two.examples) == (3.5, 3.0, 102)


def test_a_client_that_never_answered_has_no_times(tmp_path):
    one = tally(read_run(write_run(tmp_path / "run", rounds=0, end=None)))[0]
    assert (one.examples, one.median_s, one.median_train_s) == (None, None, None)


def test_the_phases_of_a_round_add_up_to_its_length(view):
    for result in view.rounds:
        parts = phases(result)
        assert sum(parts.values()) == pytest.approx(result.ended_at - result.started_at)
        assert min(parts.values()) >= 0


def test_a_training_that_began_before_its_coordinator_is_no_longer_than_the_wait(view):
    result = view.rounds[0].model_copy(update={"phases_s": {"send": 0.5, "wait": 1.0, "train": 100.0}})
    parts = phases(result)
    assert (parts["send"], parts["train (longest)"], parts["wait for replies"]) == (0.5, 0.5, 0.0)


def test_curves_are_by_client_and_leave_out_what_is_not_there(view):
    curves = training_curves(view, "loss")
    assert list(curves["client-0"]) == [1, 3, 4]
    assert list(curves[MEAN].values()) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert set(evaluation_curves(view, "accuracy")) == {MEAN, "client-0", "client-1", "client-2"}
    assert evaluation_curves(view, "recall") == {}


def test_the_report_of_a_whole_run_says_how_good_the_model_is_and_shows_its_curves(view):
    page = render_report(view)
    words = words_of(page)
    assert "The run has finished." in words
    assert "After round 4 the global model has accuracy 78.0 % on the clients' own data" in words
    assert "client-2 has the lowest (76.0 %) and client-0 the highest (80.0 %)" in words
    assert "A round took 3 s in the median, all of them 12 s; 67 % of the time was: train (longest)." in words
    assert "it took 12 s to get the model" in words
    assert "Rounds that were missed: client-0 1 of 4." in words
    assert "accuracy 76.0 % 80.0 % 78.0 % 1.6 % 76.0 % 0.9996" in words
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    titles = [ET.fromstring(picture).get("aria-label") for picture in pictures]
    assert titles == [
        "The global model: accuracy",
        "The global model: loss",
        "Training: loss",
        "Time per round by phase",
        "Bytes per round, up and down",
    ]
    names = re.findall(r' id="([^"]+)"', page)
    assert len(set(names)) == len(names)


def test_what_clients_say_is_shown_as_text(view):
    page = render_report(view)
    assert "&lt;b&gt;3&lt;/b&gt; numbers" in page
    assert "<b>3</b>" not in page


@pytest.mark.parametrize("name", ['!"><script>alert(1)</script><i x="', "x\\q", "x\\1", "$\\frac{$"])
def test_a_metric_of_any_name_is_drawn_and_shown_as_text(tmp_path, name):
    folder = write_run(tmp_path / "run", rounds=2)
    for path in (folder / "rounds").iterdir():
        path.write_text(path.read_text().replace('"accuracy"', json.dumps(name)))
    page = render_report(read_run(folder))
    assert "<script" not in page
    pictures = [ET.fromstring(picture) for picture in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)]
    assert f"The global model: {name}" in [picture.get("aria-label") for picture in pictures]
    ids = re.findall(r' id="([^"]*)"', page)
    assert all(re.fullmatch(r"[\w.-]+", one) for one in ids)


def test_nothing_is_fetched_from_anywhere(view):
    page = render_report(view)
    assert not re.search(r"<script|<link|<img|@import|url\(['\"]?http|src=", page)


def test_an_interrupted_run_says_who_has_answered_and_how_it_goes_on(tmp_path):
    folder = write_run(tmp_path / "run", rounds=2, of=5, end=None)
    words = words_of(render_report(read_run(folder)))
    assert "The run was interrupted" in words
    assert f"skerry federate resume {folder}" in words
    assert "Round 3, which has not ended" in words
    assert "has not answered client-1" in words
    assert "has answered client-0" in words
    assert "has answered before the run was taken up again client-2" in words


def test_a_run_without_a_round_has_a_page_with_its_plan(tmp_path):
    page = render_report(read_run(write_run(tmp_path / "run", rounds=0, of=3, end="failed")))
    words = words_of(page)
    assert "The run has failed. No client is there." in words
    assert "0 of 3 rounds, 3 clients" in words
    assert "settings: epochs 10" in words
    assert "<svg" not in page


def test_many_clients_are_drawn_as_one_band(tmp_path):
    page = render_report(read_run(write_run(tmp_path / "run", rounds=2, clients=30)))
    assert "the lowest to the highest of 30 clients" in page


def test_a_private_run_says_what_it_has_cost(tmp_path):
    page = render_report(read_run(write_run(tmp_path / "run", rounds=4, private=True)))
    words = words_of(page)
    assert "The run has cost epsilon 4 at delta 1e-05." in words
    assert "at the coordinator: clip norm 1.5" in words
    assert 'aria-label="Epsilon by round"' in page


def test_a_run_without_privacy_says_nothing_of_it(view):
    assert "Privacy" not in words_of(render_report(view))
