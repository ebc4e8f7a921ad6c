"""Which revision gets which share: decisions on what the cluster holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ConfigError
from skerry.platforms.knative import traffic
from skerry.platforms.knative.targets import has_taken
from skerry.platforms.knative.traffic import NEWEST, Revision, Split, revisions_of

FIRST, SECOND, THIRD = (
    Revision(name=f"greet-0000{number}", generation=number, ready=number != 3, reason="no image")
    for number in (1, 2, 3)
)
ALL = [THIRD, SECOND, FIRST]


def service(*targets, generation=2, latest="greet-00002"):
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": 2, "latestReadyRevisionName": latest, "traffic": list(targets)},
    }


def test_a_split_is_read_from_the_status():
    serving = {"revisionName": "greet-00001", "percent": 90, "tag": "serving"}
    candidate = {"revisionName": "greet-00002", "percent": 10, "tag": "candidate"}

    found = Split.of(service(serving, candidate))

    assert found == Split(serving="greet-00001", candidate="greet-00002", weight_ratio=0.1)


def test_a_service_that_serves_nothing_yet_has_no_split():
    assert Split.of({"metadata": {}}) == Split(serving=None)


def test_a_candidate_that_serves_is_none():
    newest = {"revisionName": "greet-00002", "percent": 100, "latestRevision": True}
    tried = {"revisionName": "greet-00002", "tag": "candidate"}

    assert Split.of(service(newest, tried)) == Split(serving="greet-00002")


def test_revisions_are_ordered_by_their_generation():
    found = [
        {
            "metadata": {"name": f"greet-{number}", "labels": {"serving.knative.dev/configurationGeneration": number}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }
        for number in ("9", "10", "2")
    ]

    assert [one.generation for one in revisions_of(found)] == [10, 9, 2]


@given(st.integers(0, 100))
def test_shares_add_up(percent):
    split = Split(serving="greet-00001")

    found = traffic.try_candidate("greet", split, ALL, candidate="greet-00002", weight_ratio=percent / 100)

    assert [one["percent"] for one in found] == [100 - percent, percent]
    assert [one["tag"] for one in found] == ["serving", "candidate"]


@pytest.mark.parametrize(
    ("candidate", "weight_ratio", "said"),
    [
        ("greet-00009", 0.1, "has no revision 'greet-00009'; there are: greet-00003, greet-00002, greet-00001"),
        ("greet-00001", 0.1, "serves already"),
        ("greet-00003", 0.1, "is not ready: no image"),
        ("greet-00002", 0.125, "whole per cents"),
        ("greet-00002", 1.01, "from 0% to 100%"),
    ],
)
def test_what_cannot_be_tried_is_refused(candidate, weight_ratio, said):
    with pytest.raises(ConfigError, match=said):
        traffic.try_candidate(
            "greet", Split(serving="greet-00001"), ALL, candidate=candidate, weight_ratio=weight_ratio
        )


def test_a_promotion_gives_the_candidate_everything():
    split = Split(serving="greet-00001", candidate="greet-00002", weight_ratio=0.1)

    assert traffic.promote("greet", split) == [{"revisionName": "greet-00002", "percent": 100, "tag": "serving"}]
    assert traffic.end_trial("greet", split)[0]["revisionName"] == "greet-00001"


@pytest.mark.parametrize("decide", [traffic.promote, traffic.end_trial])
def test_without_a_candidate_there_is_nothing_to_end(decide):
    with pytest.raises(ConfigError, match="greet"):
        decide("greet", Split(serving="greet-00001"))


def test_a_rollback_goes_to_the_newest_ready_revision_before():
    fourth = Revision(name="greet-00004", generation=4, ready=True)

    found = traffic.roll_back("greet", Split(serving="greet-00004"), [fourth, *ALL])

    assert found == [{"revisionName": "greet-00002", "percent": 100, "tag": "serving"}]


def test_a_rollback_beyond_the_first_revision_is_refused():
    with pytest.raises(ConfigError, match="no earlier revision that is ready"):
        traffic.roll_back("greet", Split(serving="greet-00001"), ALL)


@pytest.mark.parametrize("latest", ["greet-00001", "greet-00002"])
def test_a_deployment_without_a_weight_serves_from_the_newest(latest):
    assert traffic.after_deployment(Split(serving="greet-00001"), latest=latest, weight_ratio=None) == list(NEWEST)


def test_a_deployment_with_a_weight_makes_its_revision_the_candidate():
    found = traffic.after_deployment(Split(serving="greet-00001"), latest="greet-00002", weight_ratio=0.25)

    assert [(one["revisionName"], one["percent"]) for one in found] == [("greet-00001", 75), ("greet-00002", 25)]


def test_a_deployment_that_changed_nothing_has_no_candidate():
    found = traffic.after_deployment(Split(serving="greet-00001"), latest="greet-00001", weight_ratio=0.25)

    assert found == list(NEWEST)


def test_targets_are_taken_when_the_status_of_this_generation_says_so():
    only = {"revisionName": "greet-00002", "percent": 100, "tag": "serving"}

    assert has_taken(service(only), [only])
    assert not has_taken(service(only, generation=3), [only])
    assert not has_taken(service({**only, "revisionName": "greet-00001"}), [only])
    assert has_taken(service({**only, "tag": None, "latestRevision": True}), NEWEST)
