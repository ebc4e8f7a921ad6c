import json
import socket

import pytest

from skerry.cli import checks
from skerry.cli.port import require_free_port
from skerry.errors import PlatformError


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_doctor_reports_every_check(skerry_command):
    code, out, _ = skerry_command("doctor", "--json", "--port", "0")

    found = {check["name"]: check["state"] for check in json.loads(out)}
    assert code == 0
    assert found["python"] == found["packages"] == found["home"] == found["engine"] == found["port"] == "ok"
    assert {"pidfd", "subreaper", "extra learn"} <= set(found)


def test_each_line_says_how_things_are_and_what_to_do(skerry_command, taken_port):
    _, out, _ = skerry_command("doctor", "--port", taken_port)

    line = next(line for line in out.splitlines() if " port: " in line)
    assert line.startswith("warn ")
    assert "is in use; choose another one with --port" in line


def test_what_cannot_work_is_exit_code_1(skerry_command, monkeypatch):
    monkeypatch.setattr(checks, "CORE", ("click", "no-such-package"))

    code, out, _ = skerry_command("doctor", "--port", "0")

    assert code == 1
    assert "fail  packages: missing: no-such-package; run: pip install" in out


def test_a_missing_extra_is_a_warning(monkeypatch):
    monkeypatch.setitem(checks.EXTRAS, "learn", ("no-such-package",))

    check = checks.check_extra("learn")

    assert (check.state, check.advice) == ("warn", "run: pip install 'skerry[learn]'")


def test_a_folder_that_is_a_file_cannot_be_home(tmp_path):
    (tmp_path / "file").write_text("")

    assert checks.check_home(tmp_path / "file" / "home").state == "fail"
    assert checks.check_home(tmp_path / "new").finding.endswith("(will be made)")


def test_a_taken_port_is_an_error_that_says_what_to_do(taken_port):
    with pytest.raises(PlatformError, match=f"port {taken_port} of 127.0.0.1 is in use") as caught:
        require_free_port("127.0.0.1", taken_port)

    assert "--port 0" in caught.value.details["hint"]


def test_a_host_that_is_not_this_machine_is_an_error():
    with pytest.raises(PlatformError, match="cannot listen on"):
        require_free_port("192.0.2.1", 0)
