import pytest

from support.event_sources import FolderOrigin, MqttOrigin
from support.mqtt_broker import MqttBroker


@pytest.fixture(scope="session")
def mqtt_broker(tmp_path_factory):
    pytest.importorskip("paho.mqtt.client", reason='no paho-mqtt: pip install "skerry[mqtt]"')
    broker = MqttBroker(tmp_path_factory.mktemp("mqtt")).start()
    yield broker
    broker.kill()


@pytest.fixture(params=["folder", "mqtt"])
def origin(request, tmp_path):
    """One place where things happen that become events."""
    if request.param == "folder":
        return FolderOrigin(tmp_path / "inbox")
    return MqttOrigin(request.getfixturevalue("mqtt_broker"), tmp_path.name)
