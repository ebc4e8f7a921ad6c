"""Maps over several sites, some of which are lost."""

import threading

import pytest

from skerry.errors import ConfigError, SiteUnreachableError, TransportError
from support.engine_process import wait_until


class Events:
    def __init__(self):
        self.seen = []

    def __call__(self, event):
        self.seen.append(event)

    def of(self, kind):
        return [event for event in self.seen if event.kind == kind]


@pytest.fixture
def events():
    return Events()


def test_work_goes_to_every_site_and_results_keep_the_order(pair, app, events):
    one, two = pair
    sites = [one.site("one"), two.site("two")]

    sums = app.functions["size"].map([bytes(n) for n in range(40)], sites=sites, in_flight=2, watch=events)

    assert list(sums) == list(range(40))
    done = events.of("done")
    assert sorted(event.item for event in done) == list(range(40))
    assert {event.site for event in done} == {"one", "two"}


def test_a_site_that_ends_in_the_middle_is_named_and_its_work_goes_elsewhere(pair, app, events, caplog):
    one, two = pair
    results = app.functions["where"].map(
        ["open"] * 6, sites=[one.site("one"), two.site("two")], in_flight=2, watch=events
    )
    answers = []
    reader = threading.Thread(target=lambda: answers.extend(results))
    reader.start()
    wait_until(lambda: (one.home / "running").exists() and (two.home / "running").exists(), what="calls at both sites")

    one.kill()
    (two.home / "open").touch()
    reader.join(60)

    assert answers == ["two"] * 6
    assert [event.site for event in events.of("lost")] == ["one"]
    assert {event.site for event in events.of("moved")} == {"one"}
    assert any("site 'one' at https://" in record.message for record in caplog.records)


def test_a_call_that_may_not_run_twice_fails_with_its_site(pair, app):
    one, two = pair
    sites = [one.site("one"), two.site("two")]
    (two.home / "open").touch()
    results = app.functions["once"].map(["open"] * 4, sites=sites, in_flight=1, return_errors=True)
    answers = []
    reader = threading.Thread(target=lambda: answers.extend(results))
    reader.start()
    wait_until(lambda: (one.home / "running").exists(), what="a call at the first site")

    one.kill()
    reader.join(60)

    lost = [answer for answer in answers if isinstance(answer, TransportError)]
    assert len(answers) == 4
    assert [answer for answer in answers if answer not in lost] == ["two"] * 3
    assert "site 'one'" in lost[0].message


def test_a_site_that_was_never_there_does_not_stop_the_map(pair, app, events):
    one, gone = pair
    gone.stop()

    sums = app.functions["size"].map(
        [bytes(n) for n in range(10)], sites=[gone.site("two"), one.site("one")], in_flight=1, watch=events
    )

    assert list(sums) == list(range(10))
    assert [event.site for event in events.of("lost")] == ["two"]


def test_a_site_that_comes_back_is_used_again(pair, app, events):
    one, _ = pair
    site = one.site("one")
    results = app.functions["size"].map((bytes(n) for n in range(60)), sites=[site], in_flight=1, watch=events)
    assert next(results) == 0

    one.kill()
    starter = threading.Thread(target=one.start)
    rest = []
    reader = threading.Thread(target=lambda: rest.extend(results))
    reader.start()
    wait_until(lambda: events.of("lost"), what="the loss of the site")
    starter.start()
    starter.join(60)
    reader.join(60)

    assert rest == list(range(1, 60))
    assert {event.site for event in events.of("back")} == {"one"}


def test_lost_work_fails_at_once_where_that_was_asked(pair, app):
    one, gone = pair
    gone.stop()

    results = app.functions["size"].map(
        [b"a"] * 8, sites=[gone.site("two"), one.site("one")], in_flight=1, lost="fail", return_errors=True
    )

    answers = list(results)
    failed = [answer for answer in answers if answer != 1]
    assert len(answers) == 8
    assert failed
    assert all(isinstance(error, SiteUnreachableError) and "site 'two'" in error.message for error in failed)


@pytest.mark.parametrize("sites", [[], "edge-1"])
def test_a_map_without_sites_is_refused(app, sites):
    with pytest.raises(ConfigError, match="give a list of at least one site"):
        app.functions["size"].map([b""], sites=sites)
