import pytest

from support.own_network import missing_for_nftables, own_network


@pytest.fixture(autouse=True)
def network():
    """Every test here runs in a network of its own."""
    missing = missing_for_nftables()
    if missing:
        pytest.skip(missing)
    with own_network():
        yield
