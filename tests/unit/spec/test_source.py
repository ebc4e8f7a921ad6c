import pytest

from skerry.errors import SpecError
from skerry.spec import FileSource, MqttSource, NatsSource, source_of


@pytest.mark.parametrize(
    "source",
    [
        FileSource(url="/srv/inbox", pattern="*.csv", every="5s", settle="1m", type="t"),
        FileSource(url="s3://bucket/in?endpoint=http://127.0.0.1:9000"),
        MqttSource(url="mqtt://[::1]:1884", topics=("a/+/b", "#")),
        MqttSource(url="mqtts://h", topics=["a"], user="u", password_variable="P", certificate="/c", key="/k"),
        NatsSource(url="tls://h:4222", subject="a.*.b.>", stream="S", user="u"),
    ],
)
def test_a_source_is_what_its_plain_values_say(source):
    assert source_of(source.to_dict(), where="here") == source


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "kafka"}, "there are: files, mqtt, nats"),
        ({"kind": "files", "url": "inbox"}, "whole path"),
        ({"kind": "files", "url": "/in", "every": "10ms"}, "every"),
        ({"kind": "files", "url": "/in", "settle": "2d"}, "settle"),
        ({"kind": "files", "url": "/in", "pattern": ""}, "pattern"),
        ({"kind": "files", "url": "/in", "deep": True}, "unknown option 'deep'"),
        ({"kind": "mqtt", "url": "http://h", "topics": ["a"]}, "mqtt://HOST"),
        ({"kind": "mqtt", "url": "mqtt://h/path", "topics": ["a"]}, "mqtt://HOST"),
        ({"kind": "mqtt", "url": "mqtt://h:port", "topics": ["a"]}, "mqtt://HOST"),
        ({"kind": "mqtt", "url": "mqtt://h", "topics": []}, "topics"),
        ({"kind": "mqtt", "url": "mqtt://h", "topics": ["a#"]}, "stands for one level"),
        ({"kind": "mqtt", "url": "mqtt://h", "topics": ["#/a"]}, "stands for one level"),
        ({"kind": "mqtt", "url": "mqtt://h", "topics": ["a"], "certificate": "/c"}, "give both"),
        ({"kind": "mqtt", "url": "mqtt://h", "topics": ["a"], "session": "90d"}, "session"),
        ({"kind": "nats", "url": "nats://h", "subject": "a..b"}, "stands for one part"),
        ({"kind": "nats", "url": "nats://h", "subject": ">.b"}, "stands for one part"),
        ({"kind": "nats", "url": "nats://h", "subject": "a", "stream": "a.b"}, "stream"),
    ],
)
def test_what_is_no_source_is_refused_by_name(values, said):
    with pytest.raises(SpecError, match=r"^here") as refused:
        source_of(values, where="here")
    assert said in refused.value.message


@pytest.mark.parametrize(
    "options",
    [{"url": "mqtt://ada:hunter2@h"}, {"url": "mqtt://h", "password_variable": "hunter2 really"}],
)
def test_a_secret_in_a_source_is_refused_and_not_repeated(options):
    with pytest.raises(SpecError) as refused:
        FileSource(url="s3://bucket/in?aws_secret_access_key=hunter2")
    assert "hunter2" not in refused.value.message
    for endpoint in ("http://ada:hunter2@h", "http%3A%2F%2Fada%3Ahunter2%40h", "http://h#ada:hunter2@h"):
        with pytest.raises(SpecError) as refused:
            FileSource(url=f"s3://bucket/in?endpoint={endpoint}")
        assert "hunter2" not in refused.value.message
    with pytest.raises(SpecError) as refused:
        MqttSource(topics=("a",), **options)
    assert "hunter2" not in refused.value.message
