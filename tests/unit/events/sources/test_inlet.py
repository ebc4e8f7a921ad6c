"""By what other brokers know a source."""

from skerry.events.sources.inlet import peer_name


def test_no_two_sources_share_a_name_and_one_keeps_its_own():
    names = [("a/b-c", "e"), ("a-b/c", "e"), ("a/b-c", "f"), ("a/b-c", "e", "subject"), ("a/b-c", "e", "other.>")]
    assert len({peer_name(*name) for name in names}) == len(names)
    assert peer_name("a/b-c", "e") == peer_name("a/b-c", "e")
    assert peer_name("a/b-c", "e", "other.>").replace("-", "").isalnum()
