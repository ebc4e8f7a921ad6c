from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from skerry.errors import ConfigError, NameTakenError, SpecError, UnavailableError
from skerry.learn.federated import Federation, read_model, read_run
from skerry.learn.federated.privacy.budget import local_epsilon
from skerry.learn.federated.record.record import write_request
from skerry.learn.federated.record.reply_log import BASE, ReplyLog
from skerry.learn.federated.strategies import FedAvg, Strategy
from skerry.learn.federated.wire.parameters import digest_of
from support.engine_process import wait_until


def test_two_clients_on_two_engines_learn_a_line(tmp_path, engines, places, make_plan, fits):
    plan = make_plan(settings={"job": "line"})
    kinds = [event.kind for event in Federation(tmp_path / "run", plan, places=places(engines)).events()]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    model = read_model(tmp_path / "run")
    assert model["slope"].shape == (1, 1)
    assert model["slope"][0, 0] == pytest.approx(2, abs=0.3)
    assert model["offset"][0] == pytest.approx(1, abs=0.1)
    view = read_run(tmp_path / "run")
    assert view.state == "finished"
    assert [len(result.replies) for result in view.rounds] == [2, 2, 2]
    assert set(view.rounds[-1].evaluations) == {"one", "two"}
    assert view.rounds[-1].metrics["loss"] < view.rounds[0].metrics["loss"]
    assert view.best[0] == 3
    # Two parameters of four bytes to two clients, and back: whoever has evaluated a model holds it already.
    assert view.bytes_up == 3 * 2 * 8
    assert view.bytes_down == (1 + 3) * 2 * 8
    assert fits(engines, "line") == {f"{name} {round}": 1 for name in ("one", "two") for round in (1, 2, 3)}


def test_a_model_that_nobody_can_evaluate_is_warned_of_with_what_they_found(tmp_path, engines, places, make_plan):
    plan = make_plan(settings={"lost": [2, 3]})
    Federation(tmp_path / "run", plan, places=places(engines)).run()
    view = read_run(tmp_path / "run")
    assert [result.unevaluated for result in view.rounds] == [{}, *2 * [{"one": "loss is nan", "two": "loss is nan"}]]
    assert view.best[0] == 1
    assert view.warning == "no client could evaluate the model since round 2: one: loss is nan; two: loss is nan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Half(Strategy):
    """Goes half the way that the mean goes."""

    name: ClassVar[str] = "half"

    def start(self, size):
        return {"steps": np.zeros(1)}

    def aggregate(self, model, state, replies):
        mean, _ = FedAvg().aggregate(model, {}, replies)
        return ((model + mean) / 2).astype(model.dtype), {"steps": state["steps"] + 1}


def test_a_strategy_of_ones_own_makes_the_models(tmp_path, engines, places, make_plan):
    Federation(tmp_path / "mean", make_plan(job="own-mean", rounds=1), places=places(engines)).run()
    plan = make_plan(job="own-half", rounds=1, strategy="half")
    Federation(tmp_path / "half", plan, places=places(engines), strategy=Half()).run()
    whole, half = read_model(tmp_path / "mean"), read_model(tmp_path / "half")
    assert half["slope"][0, 0] == pytest.approx(whole["slope"][0, 0] / 2)
    with pytest.raises(SpecError, match="unknown strategy 'half'"):
        Federation(tmp_path / "half", places=places(engines)).run()
    with pytest.raises(SpecError, match="the plan names the strategy 'fedavg', and the one given is 'half'"):
        Federation(tmp_path / "mean", places=places(engines), strategy=Half()).run()
    assert {read_run(tmp_path / name).state for name in ("half", "mean")} == {"finished"}
    with pytest.raises(SpecError, match="'fedavg' is there already"):
        Federation(tmp_path / "other", plan, strategy=FedAvg())


def test_a_client_that_names_a_metric_with_markup_is_left_out_and_the_run_goes_on(tmp_path, engines, places, make_plan):
    plan = make_plan(settings={"measured": {"two": "<b>"}}, rounds=1)
    Federation(tmp_path / "run", plan, places=places(engines)).run()
    (result,) = read_run(tmp_path / "run").rounds
    assert set(result.evaluations) == {"one"}
    assert list(result.metrics) == ["loss"]
    assert result.unevaluated == {"two": "the name of metric '<b>' holds control characters, < or >"}


def test_epsilon_of_local_noise_counts_replies_that_were_refused(tmp_path, engines, places, make_plan):
    pytest.importorskip("opacus.accountants", reason="opacus is not installed: the extra privacy")
    privacy = {"clip_norm": 10.0, "noise_multiplier": 4.0}
    plan = make_plan(privacy=privacy, quorum_ratio=0.5, settings={"noted": {"one 2": "<b>", "two 3": "<b>"}})
    Federation(tmp_path / "run", plan, places=places(engines)).run()
    rounds = read_run(tmp_path / "run").rounds
    assert [sorted(reply.client for reply in result.replies) for result in rounds] == [["one", "two"], ["two"], ["one"]]
    told = [local_epsilon(rounds=number, noise_multiplier=4.0, delta=plan.privacy_delta) for number in (1, 2, 3)]
    assert [result.epsilon for result in rounds] == pytest.approx(told)


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy": "scaffold", "coding": "float16", "down_coding": "int8"},
        {"strategy": "fedyogi", "coding": "top-k", "down_coding": "float16"},
        {"central": {"clip_norm": 10.0, "noise_multiplier": 0.0}, "privacy": {"clip_norm": 10.0}},
    ],
)
def test_clients_that_share_an_engine_learn_it_too(tmp_path, engines, places, make_plan, changes):
    here = places(engines)["one"]
    plan = make_plan(clients=("a", "b", "c"), sites={"a": None, "b": None, "c": None}, **changes)
    Federation(tmp_path / "run", plan, places={None: here}).run()
    rounds = read_run(tmp_path / "run").rounds
    assert [len(result.replies) for result in rounds] == [3, 3, 3]
    assert np.isfinite(read_model(tmp_path / "run", "best")["slope"]).all()
    assert rounds[-1].metrics["loss"] < 2


def test_a_run_is_paused_and_resumed_and_a_cancelled_one_has_ended(tmp_path, engines, places, make_plan):
    folder, there = tmp_path / "run", places(engines)
    events = Federation(folder, make_plan(rounds=5), places=there).events()
    kinds = []
    for event in events:
        kinds.append(event.kind)
        if event.kind == "round-ended" and event.round == 2:
            write_request(folder, "pause")
    assert kinds[-1] == "paused"
    assert (read_run(folder).state, len(read_run(folder).rounds)) == ("paused", 2)
    for event in Federation(folder, places=there).events():
        if event.kind == "replied" and event.round == 4:
            assert read_run(folder).state == "running"
            write_request(folder, "cancel")
    view = read_run(folder)
    assert (view.state, len(view.rounds)) == ("cancelled", 3)
    with pytest.raises(ConfigError, match="was cancelled"):
        Federation(folder, places=there).run()


@pytest.mark.parametrize("ends", ["cancelled", "finished"])
def test_a_run_that_ends_leaves_no_training_behind(tmp_path, engines, places, make_plan, ends):
    gate = f"never-{ends}"
    late = {"quorum_ratio": 0.5, "slack_ratio": 1.0} if ends == "finished" else {}
    plan = make_plan(rounds=2, settings={"gates": {"two": gate}}, **late)
    folder, two = tmp_path / "run", engines["two"]
    kinds = []
    for event in Federation(folder, plan, places=places(engines)).events():
        kinds.append(event.kind)
        if event.kind == "replied" and event.round == 2:
            wait_until((two.home / f"running-{gate}").exists)
            if ends == "cancelled":
                write_request(folder, "cancel")

    assert kinds[-1] == ends
    wait_until(lambda: not two.control("GET", "/jobs?status=running").json(), what="the end of the training")


def test_a_folder_has_one_run_and_one_coordinator(tmp_path, engines, places, make_plan):
    folder, there = tmp_path / "run", places(engines)
    events = Federation(folder, make_plan(), places=there).events()
    next(events)
    with pytest.raises(NameTakenError, match="runs there already"):
        Federation(folder, places=there).run()
    events.close()
    assert read_run(folder).state == "interrupted"
    with pytest.raises(ConfigError, match="another run"):
        Federation(folder, make_plan(rounds=4), places=there).run()
    with pytest.raises(ConfigError, match="no federated run"):
        Federation(tmp_path / "other", places=there).run()


def test_a_late_reply_counts_in_the_round_in_which_it_comes(tmp_path, engines, places, make_plan):
    gate = "late"
    plan = make_plan(rounds=6, strategy="fedbuff", quorum_ratio=0.5, slack_ratio=1.0, settings={"gates": {"two": gate}})
    events, given = [], []
    for event in Federation(tmp_path / "run", plan, places=places(engines)).events():
        events.append(event)
        if event.kind == "aggregated":
            given += models_beside_late_replies(tmp_path / "run", event.round)
        if event.kind == "round-ended" and event.round == 3:
            (engines["two"].home / gate).touch()
            # The next rounds would not wait for the reply: they begin once it is there.
            wait_until(lambda: not engines["two"].control("GET", "/jobs?status=running").json())
    late = next(event for event in events if event.kind == "late")
    assert (late.client, late.facts["of_round"]) == ("two", 2)
    result = read_run(tmp_path / "run").rounds[late.round - 1]
    assert late.round - 2 in [reply.staleness for reply in result.replies if reply.client == "two"]
    # What it was trained from, the model of round 1, has long been removed from the folder.
    assert given[0] == read_run(tmp_path / "run").rounds[0].model_digest


def models_beside_late_replies(folder, number):
    """Return the digests of the models that the late replies of a round were trained from."""
    log = ReplyLog(folder / "rounds" / f"{number:05}.replies")
    found = [digest_of(log.read(entry)[1][BASE]) for entry in log.entries if entry.has_base]
    log.close()
    return found


def test_a_round_without_enough_clients_says_why_and_the_run_can_go_on(tmp_path, engines, places, make_plan):
    folder = tmp_path / "run"
    plan = make_plan(settings={"steps": 0})  # the user's own code then fails: it has no error to report
    with pytest.raises(UnavailableError, match=r"0 of 2 clients .*: one: .*'fit' failed"):
        Federation(folder, plan, places=places(engines)).run()
    view = read_run(folder)
    assert view.state == "failed"
    assert "2 are needed" in view.reason
