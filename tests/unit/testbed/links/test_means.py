import pytest

from skerry.errors import PlatformError, SpecError
from skerry.testbed.links import Means, choose_means


def means(**refusals):
    return [Means(name=name, refusal=refusals.get(name)) for name in ("netem", "tun", "relay")]


def test_the_best_means_that_works_is_taken():
    assert choose_means(means()) == "netem"
    assert choose_means(means(netem="no module")) == "tun"
    assert choose_means(means(netem="no module", tun="not root")) == "relay"


def test_a_means_that_was_asked_for_is_taken_or_refused():
    assert choose_means(means(), "tun") == "tun"
    with pytest.raises(PlatformError, match="no module"):
        choose_means(means(netem="no module"), "netem")
    with pytest.raises(SpecError, match="netem, tun, relay"):
        choose_means(means(), "wires")
