"""Deploying on an engine of another machine, and asking for it on the command line."""

import gzip
import hashlib
import json

import pytest

import skerry
from skerry.app.shipping import make_bundle, ship
from skerry.app.target import Target
from skerry.cli.main import main
from skerry.engine.sources.bundle import Member, pack
from skerry.errors import AppImportError, BodyTooLargeError, ConfigError, MalformedBodyError, ObjectNotFoundError
from skerry.platforms.engine.site import SitePlatform
from skerry.platforms.http.caller import Request
from support.engine_process import Engine

PROJECT = {
    "app.py": "import skerry\nfrom parts.words import WORD\n\napp = skerry.App('shipped')\n\n\n"
    "@app.function\ndef word() -> str:\n    return WORD\n",
    "parts/words.py": "WORD = 'tern'\n",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """An engine that other machines can call, without an app of the tests'."""
    engine = Engine(tmp_path_factory.mktemp("site") / "site", public=True).start()
    yield engine
    engine.close()


@pytest.fixture
def platform(engine):
    platform = SitePlatform(engine.site("edge-1"))
    yield platform
    platform.close()


@pytest.fixture
def shipped(project, engine):
    """The current folder, with an app and the engine as its site, whose token lies there too."""
    for name, text in PROJECT.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    token = (engine.home / "token").read_text().strip()
    (project / "edge-1.token").write_text(token)
    (project / "skerry.toml").write_text(
        f'[sites.edge-1]\naddress = "https://127.0.0.1:{engine.public_port}"\n'
        'tier = "edge"\nlabels = {town = "Oulu"}\n'
        f'token_file = "edge-1.token"\ncertificate = "{engine.home / "certificate.pem"}"\n'
    )
    return project


def put(platform, digest, body, **headers):
    headers = {"content-encoding": "gzip", **{key.replace("_", "-"): value for key, value in headers.items()}}
    return platform._caller.request(Request(method="PUT", path=f"/bundles/{digest}", body=body, headers=headers))


def name_of(bundle):
    return f"sha256-{hashlib.sha256(bundle).hexdigest()}"


def test_a_source_is_sent_once_per_digest_and_without_tokens(shipped, platform, engine):
    first = ship(platform, Target.parse("app.py"))
    again = ship(platform, Target.parse("app.py"))

    assert (first["bundle"]["sent"], first["changed"]) == (True, True)
    assert (again["bundle"]["sent"], again["changed"]) == (False, False)
    assert first["functions"][0]["address"] == f"https://127.0.0.1:{engine.public_port}/function/word"
    assert json.loads(platform.invoke("word", b"", content_type="application/json").body) == "tern"
    there = [path for path in engine.home.rglob("*") if path.is_file() and path.name != "token"]
    token = (shipped / "edge-1.token").read_bytes()
    assert not [path for path in there if token in path.read_bytes()]
    (shipped / "parts/words.py").write_text("WORD = 'gull'\n")
    assert ship(platform, Target.parse("app.py"))["bundle"]["sent"]
    assert json.loads(platform.invoke("word", b"", content_type="application/json").body) == "gull"


def test_an_app_that_cannot_be_imported_there_says_why(shipped, platform):
    (shipped / "parts/words.py").write_text("WORD = missing\n")

    with pytest.raises(AppImportError) as caught:
        ship(platform, Target.parse("app.py"))
    assert "missing" in caught.value.details["traceback"]


def test_a_project_with_a_token_in_its_own_file_is_not_sent(shipped):
    (shipped / "skerry.toml").write_text('[sites.edge-1]\naddress = "https://a:1"\ntoken = "swordfish"\n')

    with pytest.raises(ConfigError, match="holds the token of edge-1") as caught:
        make_bundle(Target.parse("app.py"))
    assert "swordfish" not in str(caught.value)


def test_a_file_alone_is_sent_alone_and_with_what_is_installed_here(project):
    (project / "one.py").write_text("import skerry\napp = skerry.App('one', requirements=['click'])\n")
    (project / "other.py").write_text("")

    _, bundle = make_bundle(Target.parse("one.py"))

    plain = gzip.decompress(bundle)
    assert b"other.py" not in plain
    assert b"skerry.lock" in plain
    assert b"click==" in plain
    assert make_bundle(Target.parse("one.py"))[1] == bundle


@pytest.mark.parametrize("path", ["/bundles/x", "/bundles/sha256-00", f"/bundles/sha256-{'A' * 64}"])
def test_a_digest_that_is_none_is_refused(platform, path):
    with pytest.raises(MalformedBodyError, match="hexadecimal"):
        platform._caller.request(Request(method="GET", path=path))


def test_a_bundle_that_is_not_what_its_name_says_is_refused(platform, engine):
    good = pack([Member("app.py", b"")])

    with pytest.raises(MalformedBodyError, match="changed on its way"):
        put(platform, name_of(b"other"), gzip.compress(good))
    with pytest.raises(MalformedBodyError, match="no gzip"):
        put(platform, name_of(good), good)
    with pytest.raises(MalformedBodyError, match="cut off, or goes on"):
        put(platform, name_of(good), gzip.compress(good)[:-4])
    with pytest.raises(ObjectNotFoundError):
        platform._caller.request(Request(method="GET", path=f"/bundles/{name_of(good)}"))
    assert put(platform, name_of(good), good, content_encoding="identity").status == 201
    assert put(platform, name_of(good), b"").status == 200
    assert not list((engine.home / "bundles").glob(".taking-*"))


def test_a_bundle_that_swells_is_refused_before_it_is_whole(platform):
    bomb = gzip.compress(bytes(80_000_000))

    with pytest.raises(BodyTooLargeError):
        put(platform, name_of(bytes(80_000_000)), bomb)


def test_a_bundle_with_a_path_that_leads_out_writes_nothing(platform, engine):
    good = pack([Member("aa/out.py", b"")])
    hostile = good.replace(b"aa/out.py", b"../out.py")
    hostile = hostile[:148] + b"%06o\0 " % (sum(hostile[:148]) + 8 * 32 + sum(hostile[156:512])) + hostile[156:]

    with pytest.raises(MalformedBodyError, match="no bundle may have"):
        put(platform, name_of(hostile), gzip.compress(hostile))
    assert not list(engine.home.rglob("out.py"))


@pytest.mark.parametrize("target", ["/etc/passwd:app", "../app.py:app", "a/../../app.py"])
def test_a_target_outside_of_the_bundle_is_refused(platform, target):
    good = pack([Member("app.py", b"")])
    put(platform, name_of(good), gzip.compress(good))

    with pytest.raises(MalformedBodyError, match="a file of the bundle"):
        platform.deploy(target, bundle=name_of(good))
    with pytest.raises(ObjectNotFoundError, match="not here"):
        platform.deploy("app.py", bundle=name_of(b"never sent"))


def test_the_command_line_works_on_a_site(shipped, engine, capfd):
    def run(*words):
        code = main([*words, "--json"])
        output = capfd.readouterr()
        assert code == 0, output.err
        return json.loads(output.out)

    assert run("deploy", "app.py", "--site", "edge-1")["app"] == "shipped"
    assert [function["name"] for function in run("list", "--site", "edge-1")] == ["word"]
    assert run("describe", "word", "--site", "edge-1")["address"].startswith("https://")
    assert run("invoke", "word", "--site", "edge-1") == "tern"
    assert run("usage", "word", "--site", "edge-1")[0]["function"] == "word"
    assert run("delete", "shipped", "--site", "edge-1")["app"] == "shipped"
    assert [(site["name"], site["tier"], site["labels"]) for site in run("sites", "list")] == [
        ("edge-1", "edge", {"town": "Oulu"})
    ]
    (checked,) = run("sites", "check")
    assert (checked["problem"], checked["version"], checked["warnings"]) == (None, skerry.__version__, [])
    assert abs(checked["clock_offset_s"]) < 30
    assert checked["certificate_ends_at"] > 1e9
    assert run("sites", "token", "--home", str(engine.home))["token"] == (shipped / "edge-1.token").read_text()


def test_a_site_that_does_not_answer_is_told_on_the_command_line(shipped, capfd):
    (shipped / "skerry.toml").write_text('[sites.far]\naddress = "https://127.0.0.1:1"\n')

    assert main(["sites", "check"]) == 1
    output = capfd.readouterr()
    assert "failed" in output.out
    assert "site 'far' at https://127.0.0.1:1 does not answer: connection refused" in output.err
    assert main(["list", "--site", "far"]) == 1
    assert "site 'far' at" in capfd.readouterr().err
    assert main(["list", "--site", "near"]) == 2
    assert "no site 'near'" in capfd.readouterr().err
