import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.learn.search import share_texts
from skerry.learn.search.wire import FOLDS
from skerry.testbed.experiments.measures import PHASES
from skerry.testbed.experiments.training_6g import arms
from skerry.testbed.experiments.training_6g.app import evaluate_folds, list_all_candidates, search_articles
from skerry.testbed.experiments.training_6g.articles import GIVE_AWAY, divide, make_articles
from skerry.testbed.experiments.training_6g.decomposition import decompose_by_arms, decompose_by_phases
from skerry.testbed.experiments.training_6g.messages import Request, Share
from skerry.testbed.experiments.training_6g.reference import search_reference

SMALL = make_articles(60)


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 120), st.integers(0, 2**32 - 1))
def test_a_division_uses_every_article_once_in_the_papers_shares(count, seed):
    articles = make_articles(count)
    division = divide(articles, seed)
    first, second = division.halves
    assert sorted(division.test.texts + first.texts + second.texts) == sorted(articles.texts)
    assert abs(len(division.test) - 0.2 * count) <= 2
    assert abs(len(first) - len(second)) <= 2
    assert division.training.texts == first.texts + second.texts
    assert divide(articles, seed) == division
    for part in (division.test, first, second):
        assert abs(part.labels.count("FAKE") - part.labels.count("REAL")) <= 2


def test_labels_stay_with_their_articles():
    known = dict(zip(SMALL.texts, SMALL.labels, strict=True))
    division = divide(SMALL, 3)
    for part in (division.test, *division.halves):
        assert all(known[text] == label for text, label in zip(part.texts, part.labels, strict=True))


@pytest.mark.parametrize("text", ["WASHINGTON (Reuters) - The", "Reuters reports", "said to REUTERS."])
def test_the_word_that_gives_true_articles_away_is_removed(text):
    assert "reuters" not in GIVE_AWAY.sub("", text).lower()


def test_folds_that_two_sites_share_make_the_answer_of_one_machine(tmp_path):
    request = Request(texts=SMALL.texts, labels=SMALL.labels)
    whole = search_articles(request, tmp_path / "whole")
    parts = [
        Share(outcomes=evaluate_folds(request.model_copy(update={"folds": folds}), tmp_path / f"part-{folds[0]}"))
        for folds in ([0, 2, 4], [1, 3, 5])
    ]
    merged = arms.merge(parts[::-1])
    assert merged.scores == [float(score) for score in whole.cv_results["mean_test_score"]]
    assert merged.parameters == whole.best_parameters
    assert merged.score == whole.best_score


def test_the_reference_finds_the_same_scores_and_the_same_winner(tmp_path):
    request = Request(texts=SMALL.texts, labels=SMALL.labels)
    ours = search_articles(request, tmp_path)
    reference = search_reference(request)
    by_parameters = dict(zip(map(_key, _grid_of_reference()), reference.scores, strict=True))
    for candidate, score in zip(ours.candidates, ours.cv_results["mean_test_score"], strict=True):
        assert by_parameters[_key(candidate)] == score
    assert reference.score == ours.best_score


def _key(parameters):
    return tuple(sorted(parameters.items()))


def _grid_of_reference():
    from sklearn.model_selection import ParameterGrid

    from skerry.testbed.experiments.training_6g.reference import GRID, to_public

    return [to_public(each) for each in ParameterGrid(GRID)]


def test_candidates_do_not_depend_on_the_articles(tmp_path):
    data = share_texts(SMALL.texts, SMALL.labels, root=tmp_path)
    result = search_articles(Request(texts=SMALL.texts, labels=SMALL.labels), tmp_path)
    assert result.candidates == list_all_candidates()
    assert data.rows == len(SMALL)
    assert FOLDS.splits * FOLDS.repeats == 6


seconds = st.floats(0, 1000)


@given(seconds, seconds, seconds, seconds)
def test_what_each_change_brings_adds_up_to_the_whole(reference, cloud, split, edge):
    medians = {"cloud-reference": reference, "cloud": cloud, "cloud-split": split, "edge-split": edge}
    steps = decompose_by_arms(medians)
    assert [step.cause for step in steps] == [
        "our algorithm",
        "half the data in each of two functions",
        "the network",
    ]
    assert sum(step.gain_s for step in steps) == pytest.approx(reference - edge, abs=1e-6)


def test_a_change_whose_arms_did_not_run_is_left_out():
    assert [step.cause for step in decompose_by_arms({"cloud-split": 3.0, "edge-split": 2.0})] == ["the network"]


@given(st.fixed_dictionaries(dict.fromkeys(PHASES, seconds)), st.fixed_dictionaries(dict.fromkeys(PHASES, seconds)))
def test_phases_add_up_to_the_gain(slower, faster):
    gain = decompose_by_phases(slower, faster)
    assert gain.whole_s == pytest.approx(sum(slower.values()) - sum(faster.values()), abs=1e-6)
    assert gain.network_s == pytest.approx(
        slower["upload_s"] + slower["download_s"] - faster["upload_s"] - faster["download_s"], abs=1e-9
    )
