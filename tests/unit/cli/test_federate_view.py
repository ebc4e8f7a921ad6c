import io
import re

from rich.console import Console

from skerry.cli.federate.view import View, describe
from skerry.learn.federated.record.events import Event
from skerry.learn.federated.record.run_view import read_run
from support.federated_run import BEGAN_S, write_run

REFUSED = "site 'edge' at https://edge:8443 does not answer: connection refused"


def text_of(view):
    terminal = Console(file=io.StringIO(), width=120)
    terminal.print(view.draw())
    return terminal.file.getvalue()


def event(kind, round, client=None, at_s=0.0, **facts):
    return Event(kind=kind, at_s=BEGAN_S + at_s, round=round, client=client, facts=facts)


def plan_of(tmp_path):
    return read_run(write_run(tmp_path / "run", rounds=0, of=11, end=None)).plan


def test_a_round_shows_who_has_answered_and_who_trains(tmp_path):
    view = View(plan_of(tmp_path))
    view.add(event("round-started", 1, chosen=["client-0", "client-1"], answered=["client-1"]))
    view.add(event("replied", 1, "client-0", examples=250, duration_s=1.5, train_s=1.0))
    text = text_of(view)
    assert "round 1 of 11" in text
    assert re.search(r"client-0 +answered +250", text)
    assert re.search(r"client-1 +answered before", text)


def test_the_time_left_follows_from_the_latest_rounds(tmp_path):
    view = View(plan_of(tmp_path))
    view.add(event("round-started", 1, at_s=0.0, chosen=["client-0"], answered=[]))
    assert "left" not in text_of(view)
    view.add(event("round-ended", 1, at_s=3.0, bytes_up=1024, bytes_down=2048))
    text = text_of(view)
    assert "1 done" in text
    assert "about 30 s left" in text
    assert "2 KiB down   1 KiB up" in text


def test_a_run_that_goes_on_shows_what_was_before(tmp_path):
    found = read_run(write_run(tmp_path / "run", rounds=4, of=8, end="paused"))
    view = View(found.plan)
    view.recall(found.rounds)
    text = text_of(view)
    assert "round 4 of 8" in text
    assert "about 12 s left" in text
    assert "accuracy  0.7800" in text


def test_what_a_client_says_is_neither_markup_nor_an_order_to_the_terminal(tmp_path):
    plan = plan_of(tmp_path).model_copy(update={"best_metric": "loss [/x]"})
    view = View(plan)
    view.add(event("missed", 1, "client-0", reason="[/x] \x1b]0;owned\x07\nmore"))
    view.add(event("unreachable", 1, "client-1", site="edge", clients=["client-1"], reason="[/y] \x1b[2J"))
    text = text_of(view)
    assert r"missed: [/x] \x1b]0;owned\x07\nmore" in text
    assert r"[/y] \x1b[2J" in text
    assert "loss [/x]" in text
    assert "\x1b" not in text


def test_without_a_terminal_a_round_is_one_line(tmp_path):
    plan = plan_of(tmp_path)
    evaluated = event("evaluated", 2, metrics={"accuracy": 0.5}, clients={}, failed={})
    assert describe(evaluated, plan) == "2/11  accuracy 0.5000"
    assert describe(event("aggregated", 2, replies=3), plan) is None


def test_clients_that_could_not_evaluate_are_named_with_the_reason(tmp_path):
    plan = plan_of(tmp_path)
    evaluated = event("evaluated", 2, metrics={}, clients={}, failed={"one": "it broke"})
    assert describe(evaluated, plan) == "2/11  one did not evaluate: it broke"


def test_clients_with_the_same_reason_are_one_line(tmp_path):
    failed = {f"client-{number}": "it is old" for number in range(7)} | {"client-3": "loss is nan"}
    evaluated = event("evaluated", 2, metrics={}, clients={}, failed=failed)
    assert describe(evaluated, plan_of(tmp_path)).splitlines() == [
        "2/11  client-0, client-1, client-2, client-4, client-5 and 1 more did not evaluate: it is old",
        "2/11  client-3 did not evaluate: loss is nan",
    ]


def test_a_round_without_metrics_is_a_line_as_well(tmp_path):
    plan = plan_of(tmp_path)
    assert describe(event("round-ended", 2, replies=3, metrics={}), plan) == "2/11  3 replies, no metrics"
    assert describe(event("round-ended", 2, replies=3, metrics={"accuracy": 0.5}), plan) is None


def test_a_place_that_does_not_answer_is_shown_until_it_is_back(tmp_path):
    plan = plan_of(tmp_path)
    view = View(plan)
    gone = event("unreachable", 2, "client-1", site="edge", clients=["client-1"], reason=REFUSED)
    line = r"2/11  client-1 \(site 'edge'\) does not answer since [\d:]{8}: connection refused; the run waits for it"
    assert re.fullmatch(line, describe(gone, plan))
    view.add(gone)
    assert "does not answer since" in text_of(view)
    back = event("back", 3, "client-1", site="edge", clients=["client-1"])
    assert describe(back, plan) == "3/11  client-1 (site 'edge') answers again"
    view.add(back)
    assert "does not answer" not in text_of(view)


def test_a_lost_engine_is_named_with_the_command_that_starts_it(tmp_path):
    plan = plan_of(tmp_path).model_copy(update={"quorum_ratio": 0.5})
    gone = event("unreachable", 2, site=None, clients=["a", "b"], reason="it is gone", start="skerry engine start")
    assert describe(gone, plan).endswith(
        "; a round that has its quorum goes on without it; start it with: skerry engine start"
    )
    assert describe(event("back", 2, site=None, clients=["a", "b"]), plan) == "2/11  the engine answers again"
