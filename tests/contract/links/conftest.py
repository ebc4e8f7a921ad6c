import pytest

from skerry.testbed.links import detect_means
from support.link_harness import make_harness


@pytest.fixture(params=["netem", "tun", "relay"])
def harness(request, tmp_path):
    refusals = {means.name: means.refusal for means in detect_means()}
    if refusals[request.param] is not None:
        pytest.skip(f"no links by {request.param} here: {refusals[request.param]}")
    made = make_harness(tmp_path, request.param)
    yield made
    made.close()
