import pytest

from support.actuators import KINDS


@pytest.fixture(scope="module", params=list(KINDS))
def place(request, tmp_path_factory):
    missing_for, make = KINDS[request.param]
    missing = missing_for()
    if missing:
        pytest.skip(missing)
    with make(tmp_path_factory.mktemp(request.param)) as place:
        yield place


@pytest.fixture
def actuator(place, tmp_path):
    actuator = place.make(tmp_path)
    yield actuator
    for left in actuator.applied():
        actuator.withdraw(left)
    actuator.close()
