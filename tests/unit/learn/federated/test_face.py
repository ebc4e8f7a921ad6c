from skerry.learn import federated


def test_everything_public_is_there():
    assert sorted(federated.__all__, key=str.lower) == sorted(federated._LAZY, key=str.lower)
    for name in federated.__all__:
        assert getattr(federated, name) is not None


def test_what_a_plan_is_made_of_is_public():
    plan = federated.Plan(
        job="j",
        members=tuple(federated.Member(name=name) for name in "abc"),
        rounds=1,
        central=federated.Privacy(clip_norm=1.0, noise_multiplier=1.0),
        secure=federated.Secure(),
    )
    assert plan.client_privacy == federated.Privacy(clip_norm=1.0)
