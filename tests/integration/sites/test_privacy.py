"""Functions labelled local: the client refuses, the site refuses, and the packets are looked at."""

import contextlib
import http.client
import json
import ssl

import pytest

import skerry
from skerry.app.shipping import make_bundle, ship
from skerry.app.target import Target
from skerry.errors import PrivacyError
from skerry.platforms.engine.site import SitePlatform
from support.engine_process import Engine, write_app
from support.packets import Capture

RESULT_BYTES = 500_000
APP = f"""
from collections.abc import Iterator

app = skerry.App("ward", local=True)

@app.function
def patients(ask: str) -> bytes:
    open(os.path.dirname(os.environ["SKERRY_ENGINE"]) + "/ran", "a").close()
    print("swordfish", flush=True)
    return os.urandom({RESULT_BYTES})

@app.function
def beds(n: int) -> Iterator[int]:
    yield from range(n)

@app.function(local=False)
def count(ask: str) -> int:
    return len(patients.remote(ask))
"""


@contextlib.contextmanager
def captured(engine):
    try:
        capture = Capture(engine.public_port)
    except PermissionError:
        pytest.skip("capturing packets needs root")
    with capture:
        yield capture


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    """A site with functions that stay there."""
    folder = tmp_path_factory.mktemp("ward")
    engine = Engine(folder / "ward", public=True).start(write_app(folder / "ward.py", APP))
    yield engine
    engine.close()


@pytest.fixture
def platform(ward):
    platform = SitePlatform(ward.site("ward"))
    yield platform
    platform.close()


def function(name, **options):
    app = skerry.App("ward", **options)

    def patients(ask: str) -> bytes:
        return b""

    return app.function(name=name)(patients)


def test_the_client_refuses_before_a_packet_is_sent(ward):
    labelled = function("patients", local=True).at(ward.site("ward"))

    with captured(ward) as capture:
        for call in (labelled.remote, labelled.spawn, lambda ask: list(labelled.map([ask]))):
            with pytest.raises(PrivacyError, match="'patients' is labelled local: it stays at its site"):
                call("all")
        with pytest.raises(PrivacyError):
            list(function("patients", local=True).map(["all"], sites=[ward.site("ward")]))
    assert capture.bytes == 0
    with captured(ward) as capture:  # what is seen of a call that is allowed
        assert function("count").at(ward.site("ward"))
        assert json.loads(SitePlatform(ward.site("ward")).invoke("count", b'"a"', content_type="application/json").body)
    assert capture.bytes > 0


def test_the_site_refuses_callers_who_do_not_know_the_label(ward, platform):
    (ward.home / "ran").unlink(missing_ok=True)
    with captured(ward) as capture:
        with pytest.raises(PrivacyError, match="only this machine may call it"):
            function("patients").at(platform).remote("all")
        with pytest.raises(PrivacyError):
            function("patients").at(platform).spawn("all")
        with pytest.raises(PrivacyError):
            platform.stream("beds", b"3", content_type="application/json")
    assert 0 < capture.bytes < RESULT_BYTES / 10
    assert not (ward.home / "ran").exists()


def test_on_its_site_it_is_called_as_always_and_others_may_use_it(ward, platform):
    assert len(ward.control("POST", "/function/patients", "a").body) > RESULT_BYTES / 2
    assert ward.call("patients", "a").status == 200
    with captured(ward) as capture:
        assert json.loads(platform.invoke("count", b'"a"', content_type="application/json").body) == RESULT_BYTES
    assert capture.bytes < RESULT_BYTES / 10  # the number came, and not what was counted


def test_results_of_jobs_and_logs_stay_too(ward, platform):
    job = ward.submit("patients", "a").json()["id"]
    assert ward.job_result(job).status == 200

    with captured(ward) as capture:
        with pytest.raises(PrivacyError, match="its results do not leave"):
            platform.result(job)
        with pytest.raises(PrivacyError, match="its log does not leave"):
            platform.logs("patients")
    assert capture.bytes < RESULT_BYTES / 10
    assert "swordfish" in ward.control("GET", "/functions/patients/logs").json()["text"]


def test_addresses_of_other_forms_are_refused_too(ward):
    token = (ward.home / "token").read_text().strip()
    context = ssl.create_default_context(cafile=ward.home / "certificate.pem")
    for path in ("/function/patients", "/function/patients?x=1", "https://a/function/patients"):
        connection = http.client.HTTPSConnection("127.0.0.1", ward.public_port, context=context, timeout=20)
        connection.request("POST", path, b'"a"', {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (403, "private"), path
        connection.close()


@pytest.mark.parametrize(
    "source",
    [
        "app = skerry.App('a', local=True)\n@app.function\ndef f() -> int:\n    return 1\n",
        "app = skerry.App('a')\n@app.function(local=True)\ndef f() -> int:\n    return 1\n",
    ],
)
def test_a_function_is_not_sent_to_another_machine(ward, platform, project, source):
    file = write_app(project / "private.py", source)

    with captured(ward) as capture, pytest.raises(PrivacyError, match="it is not sent to another machine"):
        ship(platform, Target.parse(str(file)))
    assert capture.bytes == 0


def test_a_site_deploys_no_function_from_elsewhere_whose_label_only_it_sees(ward, platform, project):
    source = "app = skerry.App('a', local=bool(1))\n@app.function\ndef hidden() -> int:\n    return 1\n"
    file = write_app(project / "private.py", source)
    digest, bundle = make_bundle(Target.parse(str(file)))
    platform.send_bundle(digest, bundle)

    with pytest.raises(PrivacyError, match="deploy it on its site itself"):
        platform.deploy("private.py", bundle=digest)
    assert ward.control("GET", "/functions/hidden").status == 404
