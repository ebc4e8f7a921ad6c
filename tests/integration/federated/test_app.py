from skerry.learn.federated import Member
from skerry.learn.federated.app import ask, coordinate


def test_a_coordinator_that_is_a_function_runs_beside_its_clients_and_tells_what_happens(engines, places, make_plan):
    engine, there = engines["two"], places(engines)["two"]
    engine.deploy("skerry.learn.federated.app:app")
    plan = make_plan().model_copy(update={"members": (Member(name="a"), Member(name="b"))})
    kinds = [event.kind for event in coordinate.at(there).remote(plan)]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    assert kinds.count("round-ended") == 3
    # What it knows is in the engine's folder: the same plan again finds that all is done.
    assert [event.kind for event in coordinate.at(there).remote(plan)] == ["resumed", "finished"]
    assert ask.at(there).remote(plan.job, "pause") is True
    assert ask.at(there).remote("no-such-job", "pause") is False
