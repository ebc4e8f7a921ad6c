from skerry.learn.federated.warming import find_cold


def test_only_workers_that_were_idle_for_long_are_warmed():
    idle_s = {"b": 70.0, "a": 60.0, "c": 0.1}
    assert find_cold(idle_s, 60.0) == ("a", "b")
    assert find_cold(idle_s, None) == ()
