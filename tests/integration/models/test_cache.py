"""The cache with real files, locks and processes."""

import os
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skerry.errors import CorruptObjectError, StorageError
from skerry.store.models import Manifest, ManifestDraft, ModelCache, ModelRepository
from skerry.store.models import cache as cache_module
from skerry.store.models.files import VERIFIED_NS
from skerry.store.objects import open_store
from support.model_processes import NotingStore, go, start

FETCHERS = 10


@pytest.fixture
def url(tmp_path):
    return str(tmp_path / "store")


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "streamed"
    path.touch()
    return path


@pytest.fixture
def repository(url, log):
    return ModelRepository(NotingStore(open_store(url), log))


@pytest.fixture
def cache(tmp_path):
    return ModelCache(tmp_path / "cache")


def publish(repository, content=b"weights", name="digits", **more):
    return repository.publish(name, {"model.onnx": content, **more}, ManifestDraft())


def streamed(log):
    return len(log.read_text().split())


def put_back_the_clock(path, age_s):
    """Let a version look as if it was last used so long ago."""
    os.utime(path, (path.stat().st_atime - age_s, path.stat().st_mtime - age_s))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_version_is_a_read_only_folder_of_its_files(repository, cache):
    manifest = publish(repository, **{"data/weights.bin": b"more"})

    path = cache.fetch(repository, manifest)

    assert names(path) == ["data", "manifest.json", "model.onnx"]
    assert (path / "data" / "weights.bin").read_bytes() == b"more"
    assert Manifest.from_json((path / "manifest.json").read_bytes()) == manifest
    modes = {stat.S_IMODE(entry.stat().st_mode) for entry in [path, *path.rglob("*")]}
    assert modes == {0o555, 0o444}


def test_a_version_is_fetched_once(repository, cache, log):
    manifest = publish(repository)

    assert cache.fetch(repository, manifest) == cache.fetch(repository, manifest)
    assert streamed(log) == 1


def test_versions_share_equal_content(repository, cache, log):
    first, second = publish(repository, words=b"first"), publish(repository, words=b"second")

    paths = [cache.fetch(repository, manifest) for manifest in (first, second)]

    assert streamed(log) == 3
    assert os.path.samefile(*(path / "model.onnx" for path in paths))


def test_processes_that_ask_at_once_fetch_once(url, repository, cache, log):
    publish(repository, bytes(5 * 2**20))

    answers = go([start("fetch", url, cache.folder, "digits@1", log) for _ in range(FETCHERS)])

    assert streamed(log) == 1
    assert all(answer["model.onnx"] == 5 * 2**20 for answer in answers)
    assert [name for name in names(cache.versions) if name.startswith(".")] == []


def test_threads_that_ask_at_once_fetch_once(repository, cache, log):
    manifest = publish(repository, bytes(2**20))

    with ThreadPoolExecutor(FETCHERS) as pool:
        paths = list(pool.map(lambda _: cache.fetch(repository, manifest), range(FETCHERS)))

    assert set(paths) == {cache.path_of(manifest)}
    assert streamed(log) == 1


def test_content_that_is_not_what_was_published_is_refused(repository, cache):
    manifest = publish(repository, b"weights")
    for wrong in (b"Weights", b"weigh", b"weights and more"):
        repository.store.put(f"blobs/sha256/{manifest.files['model.onnx'].sha256}", wrong)

        with pytest.raises(CorruptObjectError, match=r"model digits@1, model\.onnx: .*push the model again"):
            cache.fetch(repository, manifest)
        assert names(cache.versions) == names(cache.blobs) == []


def test_content_that_is_missing_is_said(repository, cache):
    manifest = publish(repository)
    repository.store.delete(f"blobs/sha256/{manifest.files['model.onnx'].sha256}")

    with pytest.raises(CorruptObjectError, match=r"digits@1: the store has no content for model\.onnx; push"):
        cache.fetch(repository, manifest)


def test_a_file_that_was_changed_on_disk_is_fetched_again(repository, cache, log):
    manifest = publish(repository, words=b"fine")
    path = cache.fetch(repository, manifest)
    (path / "model.onnx").chmod(0o600)
    (path / "model.onnx").write_bytes(b"Weights")

    assert (cache.fetch(repository, manifest) / "model.onnx").read_bytes() == b"weights"
    assert streamed(log) == 3


def test_a_fetch_that_was_killed_leaves_no_version_and_the_next_one_works(repository, cache):
    manifest = publish(repository)
    for folder in (cache.blobs, cache.versions, cache.locks):
        folder.mkdir(parents=True)
    partial = cache.versions / f".partial-{cache.path_of(manifest).name}"
    partial.mkdir()
    (partial / "model.onnx").write_bytes(b"wei")
    (cache.blobs / f".partial-sha256-{manifest.files['model.onnx'].sha256}").write_bytes(b"wei")

    assert (cache.fetch(repository, manifest) / "model.onnx").read_bytes() == b"weights"
    assert not partial.exists()


def test_a_fetch_that_is_killed_keeps_no_lock_and_its_leavings_are_cleared(url, repository, cache, log):
    manifest = publish(repository, bytes(3 * 2**20))
    process = start("fetch-a-part", url, cache.folder, "digits@1", log)
    process.stdin.write("go\n")
    process.stdin.flush()
    assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "begun\n"]
    assert cache.evict(0).removed_bytes == 0, "a fetch that goes on is left alone"
    process.kill()
    process.communicate()
    assert [name.partition("sha256")[0] for name in names(cache.blobs)] == [".partial-"]

    assert cache.evict(2**30).removed_bytes > 0
    assert names(cache.versions) == names(cache.blobs) == []
    assert (cache.fetch(repository, manifest) / "model.onnx").stat().st_size == 3 * 2**20


def test_an_eviction_clears_up_what_killed_fetches_left(repository, cache):
    path = cache.fetch(repository, publish(repository))
    (cache.versions / ".partial-x@1-0").mkdir()
    (cache.versions / ".gone-x@1-0").mkdir()
    (cache.blobs / ".partial-sha256-0").write_bytes(b"wei")
    (cache.blobs / "sha256-0").write_bytes(b"nobody's")

    eviction = cache.evict(2**30)

    assert (eviction.versions, eviction.removed_bytes, eviction.kept_bytes) == ((), 11, 7)
    assert names(cache.versions) == [path.name]
    assert len(names(cache.blobs)) == 1


def test_the_least_recently_used_versions_go_first(repository, cache):
    paths = [cache.fetch(repository, publish(repository, bytes([number]) * 100)) for number in range(4)]
    for path, age_s in zip(paths, (10, 40, 30, 20), strict=True):
        put_back_the_clock(path, age_s)

    eviction = cache.evict(200)

    assert eviction.versions == (paths[1].name, paths[2].name)
    assert (eviction.removed_bytes, eviction.kept_bytes) == (200, 200)
    assert names(cache.versions) == sorted([paths[0].name, paths[3].name])
    assert [name for name in names(cache.locks) if paths[1].name in name] == []


def test_a_fetch_counts_as_use(repository, cache):
    manifests = [publish(repository, bytes([number]) * 100) for number in range(2)]
    paths = [cache.fetch(repository, manifest) for manifest in manifests]
    for path in paths:
        put_back_the_clock(path, 100)
    cache.fetch(repository, manifests[0])

    assert cache.evict(100).versions == (paths[1].name,)


def test_what_is_in_use_stays(repository, cache):
    paths = [cache.fetch(repository, publish(repository, bytes([number]) * 100)) for number in range(3)]
    with cache.hold(paths[0]), cache.hold(paths[0]):
        assert cache.evict(0).versions == tuple(sorted([paths[1].name, paths[2].name]))
        assert (paths[0] / "model.onnx").read_bytes() == bytes(100)

    assert cache.evict(0).versions == (paths[0].name,)
    with pytest.raises(StorageError, match="was evicted; fetch the model again"):
        cache.hold(paths[0])


def test_what_another_process_uses_stays_until_it_dies(repository, cache):
    path = cache.fetch(repository, publish(repository))
    code = "import sys; from pathlib import Path; from skerry.store.models import ModelCache\n"
    code += "held = ModelCache(Path(sys.argv[1])).hold(Path(sys.argv[2])); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, cache.folder, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        assert cache.evict(0).versions == ()
        process.kill()
        process.wait()
        assert cache.evict(0).versions == (path.name,)


def test_a_fetch_makes_room_first(repository, tmp_path):
    cache = ModelCache(tmp_path / "cache", limit_bytes=250)
    paths = []
    for number in range(3):
        paths.append(cache.fetch(repository, publish(repository, bytes([number]) * 100)))
        put_back_the_clock(paths[-1], 100 - number)

    assert names(cache.versions) == sorted(path.name for path in paths[1:])


def test_a_version_larger_than_the_cache_is_refused_with_the_figures(repository, tmp_path):
    cache = ModelCache(tmp_path / "cache", limit_bytes=6)

    with pytest.raises(StorageError, match=r"model digits@1 has 7 bytes, the cache in .* may have 6; raise its limit"):
        cache.fetch(repository, publish(repository))


def test_what_is_taken_is_held(repository, cache, monkeypatch):
    manifest = publish(repository)
    fetch = ModelCache.fetch
    evictions = [1, 1]

    def fetch_and_lose(self, *args):
        path = fetch(self, *args)
        if evictions:
            evictions.pop()
            assert self.evict(0).versions == (path.name,)
        return path

    monkeypatch.setattr(ModelCache, "fetch", fetch_and_lose)
    with cache.take(repository, manifest) as held:
        assert cache.evict(0).versions == ()
        assert (held.path / "model.onnx").read_bytes() == b"weights"


def test_a_version_that_is_evicted_again_and_again_is_given_up(repository, cache, monkeypatch):
    monkeypatch.setattr(cache_module.ModelCache, "hold", lambda self, path: (_ for _ in ()).throw(StorageError("gone")))

    with pytest.raises(StorageError, match="digits@1 is evicted as fast as it is fetched"):
        cache.take(repository, publish(repository))


def test_a_file_system_without_hard_links_gets_copies(repository, cache, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    manifest = publish(repository)

    path = cache.fetch(repository, manifest)

    assert (path / "model.onnx").read_bytes() == b"weights"
    assert (path / "model.onnx").stat().st_mtime_ns == VERIFIED_NS
    assert cache.fetch(repository, manifest) == path
    assert cache.evict(7).kept_bytes == 7, "the copy counts, the content that nothing links to is gone"
    assert cache.evict(6).versions == (path.name,)


def test_a_full_disk_leaves_no_half_version(url, repository, cache):
    publish(repository, bytes(2**20), words=b"small")
    # A limit on the size of files fails writes as a full disk does, for one process, with a real error of the kernel.
    code = textwrap.dedent("""
        import resource, signal, sys
        from pathlib import Path
        from skerry.errors import StorageError
        from skerry.store.models import ModelCache, ModelRepository
        from skerry.store.objects import open_store
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, 2**18))
        repository = ModelRepository(open_store(sys.argv[1]))
        try:
            ModelCache(Path(sys.argv[2])).fetch(repository, repository.manifest("digits", 1))
        except StorageError as error:
            print(error)
    """)

    done = subprocess.run([sys.executable, "-c", code, url, cache.folder], capture_output=True, text=True, check=True)

    assert "cannot write" in done.stdout
    assert "File too large; make room" in done.stdout
    assert names(cache.versions) == []
    assert not any(name.startswith(".") for name in names(cache.blobs))
    assert (cache.fetch(repository, repository.manifest("digits", 1)) / "words").read_bytes() == b"small"


def test_an_empty_cache_has_nothing_to_evict(cache):
    assert cache.evict(0).versions == ()
    assert not Path(cache.folder).exists()
