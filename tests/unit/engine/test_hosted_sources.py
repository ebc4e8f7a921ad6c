"""The sources that an engine keeps at work: those that this version can."""

from types import SimpleNamespace

from skerry.engine.events.hosting import EventHosting
from skerry.spec import FileSource


def test_a_source_that_an_earlier_version_took_keeps_no_other_from_its_work(caplog):
    sound = FileSource(url="/srv/inbox")
    refused = {"kind": "files", "url": "s3://bucket/in?endpoint=http://ada:hunter2@h"}
    app = SimpleNamespace(name="app", event_sources={"odd": refused, "sound": sound.to_dict()})
    records = SimpleNamespace(apps=SimpleNamespace(all=lambda: [app]))
    hosting = EventHosting(records, broker=None, sources=None, mark=None)
    assert hosting._sources() == {"app/sound": sound}
    assert "source 'odd'" in caplog.text
    assert "hunter2" not in caplog.text
