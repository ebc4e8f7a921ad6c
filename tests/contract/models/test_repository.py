"""What a repository of models promises, whatever the store below it."""

import time

import pytest

from skerry.errors import CorruptObjectError, ModelInUseError, ModelNotFoundError, ModelRejectedError
from skerry.spec import ModelReference
from skerry.store.models import ManifestDraft, ModelRepository
from skerry.store.objects import open_store


class Counting:
    """A store that counts what is asked of it."""

    def __init__(self, store):
        self.store = store
        self.calls = []

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls.append(name)
            return getattr(self.store, name)(*args, **kwargs)

        return call


def resolve(repository, text):
    return repository.resolve(ModelReference.parse(text))


def blobs(repository):
    return [info.key for info in repository.store.list("blobs/")]


def test_a_published_version_is_found_by_its_number_and_by_its_alias(repository, publish):
    first, second = publish(metrics={"accuracy": 0.9}), publish(content=b"better", parent=1)
    assert (first.version, second.version, repository.versions("digits")) == (1, 2, [1, 2])
    repository.set_alias("digits", "production", 1)
    repository.set_alias("digits", "candidate", 2)

    assert resolve(repository, "digits") == first
    assert resolve(repository, "digits@candidate") == resolve(repository, "digits@2") == second
    assert repository.aliases("digits") == {"candidate": 2, "production": 1}
    assert repository.names() == ["digits"]


def test_another_repository_on_the_store_sees_the_same(url, repository, publish):
    other = ModelRepository(open_store(url))
    assert (other.names(), other.aliases("digits"), other.head("digits")) == ([], {}, 0)
    manifest = publish()
    repository.set_alias("digits", "production", 1, action="promote", reason="it is better")

    assert resolve(other, "digits") == manifest
    assert other.history("digits") == repository.history("digits")
    assert [(entry.number, entry.action, entry.reason) for entry in other.history("digits")] == [
        (1, "promote", "it is better")
    ]


def test_files_come_from_memory_and_from_disk(repository, tmp_path):
    (tmp_path / "big.bin").write_bytes(bytes(3 * 2**20))

    manifest = repository.publish("digits", {"model.onnx": b"", "data/big.bin": tmp_path / "big.bin"}, ManifestDraft())

    assert {file: entry.size_bytes for file, entry in manifest.files.items()} == {
        "model.onnx": 0,
        "data/big.bin": 3 * 2**20,
    }
    assert repository.store.get(f"blobs/sha256/{manifest.files['data/big.bin'].sha256}") == bytes(3 * 2**20)


def test_equal_content_is_stored_once(repository, publish):
    for name in ("digits", "digits", "letters"):
        publish(name)

    assert len(blobs(repository)) == 1


@pytest.mark.parametrize(
    ("name", "files", "draft"),
    [
        ("Digits", {"model.onnx": b""}, {}),
        ("digits", {}, {}),
        ("digits", {"model.pkl": b""}, {}),
        ("digits", {"../model.onnx": b""}, {}),
        ("digits", {"model.onnx": b""}, {"kind": "wild"}),
        ("digits", {"model.onnx": b""}, {"about": {"a": object()}}),
    ],
)
def test_what_is_refused_leaves_nothing(repository, name, files, draft):
    with pytest.raises(ModelRejectedError):
        repository.publish(name, files, ManifestDraft(**draft))

    assert list(repository.store.list()) == []


def test_a_file_that_is_not_there_leaves_nothing(repository, tmp_path):
    with pytest.raises(ModelRejectedError, match=r"model\.onnx cannot be read from .*missing: No such file"):
        repository.publish("digits", {"a": b"first", "model.onnx": tmp_path / "missing"}, ManifestDraft())

    assert list(repository.store.list()) == []


def test_a_rollback_points_back_and_is_one_more_entry(repository, publish):
    for content in (b"a", b"b", b"c"):
        repository.set_alias("digits", "production", publish(content=content).version)
    entry = repository.rollback("digits", reason="errors")

    assert (entry.action, entry.version, entry.previous, entry.reason) == ("rollback", 2, 3, "errors")
    assert repository.aliases("digits") == {"production": 2}
    assert repository.rollback("digits").version == 1
    with pytest.raises(
        ModelNotFoundError, match="model digits: alias 'production' points at version 1, and pointed at"
    ):
        repository.rollback("digits")
    assert [entry.number for entry in repository.history("digits")] == [1, 2, 3, 4, 5]


def test_two_who_flee_from_one_version_go_back_one_step(repository, publish):
    for content in (b"a", b"b", b"c"):
        repository.set_alias("digits", "production", publish(content=content).version)
    repository.rollback("digits", expected=3)

    with pytest.raises(ModelInUseError, match="points at 2 by now, not at 3"):
        repository.rollback("digits", expected=3)
    with pytest.raises(ModelInUseError, match="points at nothing by now"):
        repository.set_alias("digits", "candidate", 3, expected=1)


def test_an_alias_can_be_removed_and_taken_back(repository, publish):
    repository.set_alias("digits", "production", publish().version)
    repository.remove_alias("digits", "production")
    with pytest.raises(ModelNotFoundError, match="has no alias 'production'; its aliases are: none; its versions: 1"):
        resolve(repository, "digits")

    assert repository.rollback("digits").version == 1


def test_a_deleted_version_is_gone_and_its_number_with_it(repository, publish):
    publish()
    publish(content=b"b")
    repository.delete("digits", 2, reason="wrong data")

    assert repository.versions("digits") == [1]
    with pytest.raises(ModelNotFoundError, match=r"model digits: version 2 was deleted by .*: wrong data"):
        repository.manifest("digits", 2)
    with pytest.raises(ModelNotFoundError, match="was deleted"):
        repository.set_alias("digits", "production", 2)
    assert publish(content=b"c").version == 3


def test_a_version_in_use_cannot_be_deleted(repository, publish):
    repository.set_alias("digits", "production", publish().version)

    with pytest.raises(ModelInUseError, match="model digits: version 1 cannot be deleted: production points at it"):
        repository.delete("digits", 1)
    repository.remove_alias("digits", "production")
    repository.delete("digits", 1)
    assert (repository.names(), repository.versions("digits")) == ([], [])


def test_what_is_not_there_is_named(repository, publish):
    with pytest.raises(ModelNotFoundError, match="model 'digits' has no versions: push one"):
        repository.manifest("digits", 1)
    publish()
    with pytest.raises(ModelNotFoundError, match="model 'digits' has no version 2; there are: 1"):
        resolve(repository, "digits@2")
    with pytest.raises(ModelNotFoundError, match="has no version 0"):
        repository.manifest("digits", 0)
    with pytest.raises(ModelNotFoundError, match="has no version 5"):
        repository.set_alias("digits", "production", 5)
    with pytest.raises(ModelRejectedError, match="alias 'A'"):
        repository.set_alias("digits", "A", 1)
    with pytest.raises(ModelRejectedError, match="action 'rollback'"):
        repository.set_alias("digits", "production", 1, action="rollback")


def test_garbage_is_what_no_version_names(repository, publish):
    publish(content=b"shared")
    publish("letters", content=b"shared")
    publish(content=b"alone")
    repository.delete("digits", 1)
    repository.delete("digits", 2)
    assert repository.collect_garbage().removed == 0, "it is young"

    garbage = repository.collect_garbage(grace_s=-60)

    assert (garbage.removed, garbage.removed_bytes, garbage.kept) == (1, len(b"alone"), 1)
    assert repository.store.get(blobs(repository)[0]) == b"shared"


def test_garbage_is_not_collected_while_a_manifest_cannot_be_read(repository, publish):
    publish()
    repository.store.put("models/digits/versions/000000002", b"{}")
    repository.store.put("blobs/sha256/" + "0" * 64, b"of version 2")

    with pytest.raises(CorruptObjectError, match="models/digits/versions/000000002"):
        repository.collect_garbage(grace_s=-60)
    assert len(blobs(repository)) == 2


def test_content_that_garbage_collection_took_is_written_again(repository, publish):
    publish()
    repository.delete("digits", 1)
    repository.collect_garbage(grace_s=-60)

    assert repository.store.get(f"blobs/sha256/{publish().files['model.onnx'].sha256}") == b"weights"


def test_content_that_is_old_is_written_again_so_that_garbage_collection_spares_it(repository, publish, monkeypatch):
    publish()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1000)
    counting = Counting(repository.store)

    ModelRepository(counting).publish("digits", {"model.onnx": b"weights"}, ManifestDraft())
    assert counting.calls.count("put") == 1


def test_a_poll_costs_one_request(url, repository, publish):
    publish()
    for _ in range(5):
        repository.set_alias("digits", "production", 1)
    counting = Counting(open_store(url))
    other = ModelRepository(counting)
    assert other.head("digits") == 5

    counting.calls.clear()
    assert other.head("digits") == 5
    assert counting.calls == ["get"]
    repository.set_alias("digits", "candidate", 1)
    assert other.aliases("digits") == {"candidate": 1, "production": 1}
    assert counting.calls == ["get"] * 3


def test_a_long_history_is_read_whole_and_in_order(url, repository, publish):
    publish()
    for _ in range(40):
        repository.set_alias("digits", "production", 1)

    assert ModelRepository(open_store(url)).history("digits") == repository.history("digits")
    repository.store.delete("models/digits/history/000000030")
    with pytest.raises(CorruptObjectError, match="models/digits/history/000000030 is missing"):
        ModelRepository(open_store(url)).history("digits")


def test_a_manifest_under_the_wrong_number_is_refused(url, repository, publish):
    publish()
    content = repository.store.get("models/digits/versions/000000001")
    repository.store.put("models/digits/versions/000000002", content)

    with pytest.raises(CorruptObjectError, match="it is the manifest of digits@1"):
        repository.manifest("digits", 2)


@pytest.mark.parametrize("content", [b"", b"{}", b"null"])
def test_a_history_that_was_tampered_with_is_refused(url, repository, publish, content):
    publish()
    repository.set_alias("digits", "production", 1)
    repository.store.put("models/digits/history/000000001", content)

    with pytest.raises(CorruptObjectError, match="models/digits/history/000000001"):
        ModelRepository(open_store(url)).aliases("digits")


def test_what_else_lies_in_the_store_is_passed_over(repository, publish):
    publish()
    for key in ("models/digits/versions/notes.txt", "models/Other/versions/000000001", "models/x", "other/y"):
        repository.store.put(key, b"?")

    assert (repository.names(), repository.versions("digits")) == (["digits"], [1])
    assert repository.collect_garbage(grace_s=-60).removed == 0
