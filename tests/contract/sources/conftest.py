import pytest

from support.event_sources import BucketOrigin, FolderOrigin, MqttOrigin, NatsOrigin
from support.mqtt_broker import MqttBroker
from support.nats_server import NatsServer
from support.s3_server import S3Server


@pytest.fixture(scope="session")
def mqtt_broker(tmp_path_factory):
    pytest.importorskip("paho.mqtt.client", reason='no paho-mqtt: pip install "skerry[mqtt]"')
    broker = MqttBroker(tmp_path_factory.mktemp("mqtt")).start()
    yield broker
    broker.kill()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory):
    pytest.importorskip("nats", reason='no nats-py: pip install "skerry[nats]"')
    server = NatsServer(tmp_path_factory.mktemp("nats")).start()
    yield server
    server.kill()


@pytest.fixture
def bucket_server(s3_server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-id-of-the-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-key")
    return s3_server


@pytest.fixture(scope="session")
def s3_server():
    pytest.importorskip("obstore", reason='no obstore: pip install "skerry[s3]"')
    server = S3Server()
    yield server
    server.close()


@pytest.fixture(params=["folder", "bucket", "mqtt", "nats"])
def origin(request, tmp_path):
    """One place where things happen that become events."""
    if request.param == "folder":
        return FolderOrigin(tmp_path / "inbox")
    if request.param == "bucket":
        return BucketOrigin(request.getfixturevalue("bucket_server"))
    if request.param == "nats":
        return NatsOrigin(request.getfixturevalue("nats_server"), tmp_path.name)
    return MqttOrigin(request.getfixturevalue("mqtt_broker"), tmp_path.name)
