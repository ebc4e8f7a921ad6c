"""What functions labelled local have made stays at their site, also once they are deleted or have lost their label."""

import json

import pytest

from skerry.errors import PrivacyError
from skerry.platforms.engine.site import SitePlatform
from support.engine_process import Engine, wait_until, write_app

SECRET = "Ada Lovelace"
CHAIN = 'app.chain("visit", [patients, patients])'
APP = f"""
app = skerry.App("ward"LABEL)

@app.function
def patients(ask: str) -> str:
    print("swordfish", flush=True)
    if ask == "none":
        raise skerry.errors.UserError("patient {SECRET} has no such row")
    return "{SECRET}"
"""
LABELLED = APP.replace("LABEL", ", local=True") + "\nvisit = " + CHAIN
OPEN = APP.replace("LABEL", "")
GONE = 'app = skerry.App("ward")\n\n@app.function\ndef other() -> int:\n    return 1\n'


@pytest.fixture(scope="module", params=[OPEN, GONE, None], ids=["without the label", "gone", "app deleted"])
def left(request, tmp_path_factory):
    """A site that has had a function labelled local: the ids of its jobs, of its run, and how others see it."""
    folder = tmp_path_factory.mktemp("ward")
    engine = Engine(folder / "ward", public=True).start(write_app(folder / "ward.py", LABELLED))
    good = engine.submit("patients", "a").json()["id"]
    bad = engine.submit("patients", "none").json()["id"]
    assert engine.job_result(good).status == 200
    assert SECRET in engine.job_result(bad).body.decode()
    run = engine.control("POST", "/chains/visit/runs?wait_s=30", "none").json()
    assert SECRET in json.dumps(run)
    if request.param is None:
        assert engine.control("DELETE", "/apps/ward").status == 200
    else:
        engine.deploy(write_app(folder / "ward.py", request.param))
    platform = SitePlatform(engine.site("ward"))
    yield engine, platform, good, bad, run["id"]
    platform.close()
    engine.close()


def seen(platform, path):
    return json.dumps(platform._control("GET", path))


def test_results_and_logs(left):
    engine, platform, good, bad, _ = left

    for job in (good, bad):
        with pytest.raises(PrivacyError, match="its results do not leave"):
            platform.result(job)
    with pytest.raises(PrivacyError, match="its log does not leave"):
        platform.logs("patients")
    assert SECRET in engine.job_result(good).body.decode()
    assert "swordfish" in engine.control("GET", "/functions/patients/logs").json()["text"]


def test_a_job_shows_its_state_and_not_what_its_error_says(left):
    engine, platform, _, bad, _ = left

    job = platform._control("GET", f"/jobs/{bad}")
    assert (job["status"], job["error"]["code"]) == ("failed", engine.job(bad)["error"]["code"])
    for text in (json.dumps(job), seen(platform, "/jobs")):
        assert bad in text
        assert SECRET not in text
    assert SECRET in json.dumps(engine.job(bad))


def test_a_job_is_not_run_again_for_others(left):
    engine, platform, _, bad, _ = left

    with pytest.raises(PrivacyError, match="only this machine may call it"):
        platform.retry(bad)
    assert engine.job(bad)["attempts"] == 1


def test_a_run_shows_its_state_and_not_what_its_error_says(left):
    engine, platform, _, _, run = left

    assert platform._control("GET", f"/runs/{run}")["status"] == "failed"
    for path in (f"/runs/{run}", "/runs"):
        assert run in seen(platform, path)
        assert SECRET not in seen(platform, path)
        assert SECRET in engine.control("GET", path).body.decode()
    with pytest.raises(PrivacyError):
        platform._control("GET", f"/runs/{run}/result")


def test_what_comes_later_without_the_label_is_open(tmp_path):
    engine = Engine(tmp_path / "ward", public=True).start(write_app(tmp_path / "ward.py", LABELLED))
    platform = SitePlatform(engine.site("ward"))
    try:
        engine.deploy(write_app(tmp_path / "ward.py", OPEN))
        job = platform.submit("patients", b'"none"', content_type="application/json")
        wait_until(lambda: engine.job(job.id)["status"] == "failed", what="the end of the job")
        assert SECRET in seen(platform, f"/jobs/{job.id}")
        platform.retry(job.id)
    finally:
        platform.close()
        engine.close()


def test_events_that_a_local_function_took(tmp_path):
    trigger = APP.replace("@app.function", '@app.on(skerry.Event(type="row"))\n@app.function')
    trigger = trigger.replace("ask: str", "ask: dict").replace('ask == "none"', "False")
    engine = Engine(tmp_path / "ward", public=True)
    engine.start(write_app(tmp_path / "ward.py", trigger.replace("LABEL", ", local=True")))
    platform = SitePlatform(engine.site("ward"))

    def publish(id):
        headers = {"content-type": "application/cloudevents+json"}
        event = {"specversion": "1.0", "type": "row", "source": "/w", "id": id, "data": {"patient": SECRET}}
        assert engine.tcp("POST", "/events", json.dumps(event).encode(), headers).status == 202

    try:
        publish("before")
        kept = engine.control("GET", "/broker/events").json()[0]
        with pytest.raises(PrivacyError):
            seen(platform, "/broker/events")
        engine.control("DELETE", "/apps/ward")
        engine.stop()
        engine.start()
        assert seen(platform, "/broker/events") == "[]"
        assert SECRET in engine.control("GET", "/broker/events").body.decode()
        with pytest.raises(PrivacyError):
            seen(platform, f"/broker/events/{kept['number']}")
        with pytest.raises(PrivacyError):
            platform._control("POST", f"/broker/events/{kept['number']}/replay")
        engine.deploy(write_app(tmp_path / "ward.py", trigger.replace("LABEL", "")))
        publish("after")
        assert [one["event"]["id"] for one in platform._control("GET", "/broker/events")] == ["after"]
    finally:
        platform.close()
        engine.close()
