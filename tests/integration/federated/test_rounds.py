from skerry.learn.federated import Federation, Member, Plan
from skerry.learn.federated.record import Record


def plan_of(**changes):
    members = tuple(Member(name=name, site=name) for name in ("one", "two"))
    return Plan(**{"job": "lines", "members": members, "rounds": 3, "best_metric": "loss", **changes})


def test_two_clients_on_two_engines_learn_a_line_in_three_rounds(tmp_path, make_engines, places):
    engines = make_engines("one", "two")
    events = list(Federation(tmp_path / "run", plan_of(), places=places(engines)).events())
    assert [event.kind for event in events][-1] == "finished"
    with Record(tmp_path / "run") as record:
        model = record.latest().model
    assert abs(model[0] - 2) < 0.3
    assert abs(model[1] - 1) < 0.1
    assert (engines["one"].home / "fits").read_text().split("\n") == ["one 1", "one 2", "one 3", ""]
