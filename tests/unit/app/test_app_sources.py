import pytest

import skerry
from skerry.errors import NameTakenError, SpecError
from skerry.runtime.inspection import describe

INBOX = skerry.FileSource(url="/srv/inbox")


def test_an_app_describes_the_sources_that_it_declares(tmp_path):
    app = skerry.App("plant")
    app.function(lambda_named("note"))
    app.source("inbox", INBOX)
    sensors = skerry.MqttSource(url="mqtts://h", topics=("a",), user="edge", password_variable="PLANT")
    app.source("sensors", sensors)
    assert dict(app.event_sources) == {"inbox": INBOX, "sensors": sensors}
    described = describe(app)["event_sources"]
    assert described["inbox"] == INBOX.to_dict()
    assert described["sensors"]["password_variable"] == "PLANT"
    assert app.at(skerry.EnginePlatform.of_home(tmp_path)).event_sources == app.event_sources


def lambda_named(name):
    def handler(event: skerry.Event) -> None: ...

    handler.__name__ = name
    return handler


def test_what_is_no_source_or_has_no_name_of_its_own_is_refused():
    app = skerry.App("plant")
    app.source("inbox", INBOX)
    with pytest.raises(NameTakenError, match="has a source 'inbox' already"):
        app.source("inbox", INBOX)
    with pytest.raises(SpecError, match="lower-case letters"):
        app.source("In box", INBOX)
    with pytest.raises(SpecError, match=r"give it a skerry\.FileSource"):
        app.source("door", skerry.Event(type="door"))
