"""What a platform does with files and folders in calls, however it is reached."""

import hashlib
import shutil

import pytest

import skerry
from skerry.errors import DataError, InputNotFoundError, InvalidPayloadError, PrivacyError

SMALL_BYTES = 4000  # what the heads of some requests and answers may come to


def test_a_handler_reads_the_file_by_its_path_here_and_there(app, platform, make_file):
    path = make_file()
    assert app.read.at(platform).remote(skerry.File(path)) == path.read_text()
    assert app.read(skerry.File(path)) == path.read_text()


def test_a_handler_knows_the_files_name_and_digest(app, platform, make_file):
    path = make_file("articles.npz")
    found = app.describe.at(platform).remote(skerry.File(path))
    assert found["digest"] == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert found["name"] == "articles.npz"
    assert found["path"].endswith("/articles.npz")


def test_files_may_stand_anywhere_in_an_argument(app, platform, make_file):
    files = [skerry.File(make_file(f"{at}.csv", size_bytes=1000 * at)) for at in (1, 2, 3)]
    assert app.total.at(platform).remote(app.Job(files=files)) == 6000


def test_a_file_is_sent_once(app, platform, make_file, is_near):
    path = make_file(size_bytes=100_000)
    with skerry.count_transfer() as first:
        app.read.at(platform).remote(skerry.File(path))
    with skerry.count_transfer() as second:
        app.read.at(platform).remote(skerry.File(path))
    assert second.bytes_sent < SMALL_BYTES
    assert first.bytes_received > 100_000  # the answer
    if is_near:
        assert first.bytes_sent < SMALL_BYTES
        assert not first.contents
    else:
        (sent,) = first.contents
        assert sent.bytes_sent <= first.bytes_sent <= sent.bytes_sent + SMALL_BYTES
        assert (sent.size_bytes, sent.address) == (100_000, platform.address)
        assert sent.coding in ("zstd", "none")
        assert sent.why


def test_a_file_that_changes_is_a_new_one(app, platform, make_file):
    path = make_file(content=b"calm sea")
    assert app.read.at(platform).remote(skerry.File(path)) == "calm sea"
    path.write_bytes(b"high sea")
    assert app.read.at(platform).remote(skerry.File(path)) == "high sea"


def test_a_folder_arrives_as_it_is(app, platform, make_file, tmp_path):
    make_file("data/a.txt", content=b"1")
    make_file("data/deep/er/b.txt", content=b"2")
    make_file("data/.hidden", content=b"")
    expected = {".hidden": "", "a.txt": "1", "deep/er/b.txt": "2"}
    assert app.tree.at(platform).remote(skerry.Folder(tmp_path / "data")) == expected
    assert app.tree.at(platform).remote(skerry.Folder(tmp_path / "data"), under="deep") == {"er/b.txt": "2"}


def test_of_a_folder_only_what_is_new_is_sent(app, platform, make_file, tmp_path, is_near):
    for name in ("a", "b"):
        make_file(f"data/{name}")
    app.tree.at(platform).remote(skerry.Folder(tmp_path / "data"))
    new = make_file("data/c")
    with skerry.count_transfer() as moved:
        assert set(app.tree.at(platform).remote(skerry.Folder(tmp_path / "data"))) == {"a", "b", "c"}
    digests = [sent.digest.removeprefix("sha256:") for sent in moved.contents]
    assert len(digests) == (0 if is_near else 2)  # the file, and the listing
    assert is_near or digests[0] == hashlib.sha256(new.read_bytes()).hexdigest()


def test_what_a_site_has_evicted_is_sent_again(app, engine, platform, make_file):
    path = make_file()
    app.read.at(platform).remote(skerry.File(path))
    shutil.rmtree(engine.home / "inputs")
    assert app.read.at(platform).remote(skerry.File(path)) == path.read_text()


def test_a_job_reads_its_file_when_the_callers_is_gone(app, platform, make_file):
    path = make_file()
    content = path.read_text()
    job = app.read.at(platform).spawn(skerry.File(path))
    path.unlink()
    assert job.result(timeout_s=60) == content


def test_streams_maps_and_coroutines_take_files_too(app, platform, make_file):
    paths = [make_file(f"{at}.txt", content=b"calm sea %d" % at) for at in range(4)]
    files = [skerry.File(path) for path in paths]
    assert list(app.lines.at(platform).stream(files[1])) == ["calm", "sea", "1"]
    assert list(app.read.at(platform).map(files)) == [path.read_text() for path in paths]
    assert app.read_async.at(platform).remote(files[2]) == b"calm sea 2"


def test_a_file_comes_back_as_its_reference(app, platform, make_file):
    path = make_file()
    found = app.give_back.at(platform).remote(skerry.File(path))
    assert found.digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert not found.is_here
    assert app.read.at(platform).remote(found) == path.read_text()


def test_what_nobody_has_is_reported_as_missing(app, platform):
    with pytest.raises(InputNotFoundError) as error:
        app.read.at(platform).remote(skerry.File.at_site("sha256:" + "0" * 64, size_bytes=1, name="a"))
    assert error.value.details["digests"] == ["sha256:" + "0" * 64]


def test_what_cannot_be_read_is_not_sent(app, platform, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv"):
        app.read.at(platform).remote(skerry.File(tmp_path / "none.csv"))
    with pytest.raises(DataError, match=r"skerry\.Folder"):
        app.read.at(platform).remote(skerry.File(tmp_path))
    with pytest.raises(InvalidPayloadError):
        app.read.at(platform).remote("a.csv")


def test_local_data_are_computed_on_where_they_are_and_go_nowhere_else(app, platform, make_file, is_near):
    file = skerry.File(make_file(), local=True)
    with skerry.count_transfer() as moved:
        if is_near:
            assert app.count.at(platform).remote(file) == 20_000
        else:
            with pytest.raises(PrivacyError, match="another one"):
                app.count.at(platform).remote(file)
            assert moved.bytes_sent == 0


def test_local_data_are_no_result(app, near, platform, make_file):
    path = make_file()
    app.count.at(near).remote(skerry.File(path, local=True))
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    named = skerry.File.at_site(digest, size_bytes=20_000, name="a.csv")
    assert app.count.at(platform).remote(named) == 20_000
    for function in (app.read, app.read_async, app.give_back, app.give_text, app.lines):
        with pytest.raises(PrivacyError, match="labelled local"):
            function.at(platform).remote(named)
