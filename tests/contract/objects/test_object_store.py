"""What every store of objects promises, asked of both backends."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.errors import ConfigError, ObjectNotFoundError
from skerry.store.objects import ObjectStore, open_store

MIB = 2**20
BAD_KEYS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "a/.",
    "a b",
    "a@",
    "é",
    "a\n",
    "a\0",
    "~",
    "a\\b",
    7,
    None,
]
BAD_KEYS += ["a" * 201, "/".join(["abc"] * 129)]

segments = st.from_regex(r"[A-Za-z0-9._=+-]{1,12}", fullmatch=True).filter(lambda text: text not in {".", ".."})
keys = st.lists(segments, min_size=1, max_size=4).map("/".join)
# Few, so that they meet: beginnings of each other, and letters that sort before and behind the slash.
close_keys = st.sampled_from(["a", "a/b", "a/b/c", "a-b", "a.b/c", "a0", "ab", "b/=", "b/+"])
few = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def listed(store, prefix=""):
    return [info.key for info in store.list(prefix)]


class TestObjectStore:
    def test_it_is_an_object_store_whose_url_opens_it_again(self, store):
        assert isinstance(store, ObjectStore)
        store.put("a/b", b"sea")
        assert open_store(store.url).get("a/b") == b"sea"
        assert open_store(store.url).url == store.url
        assert store.url in repr(store)

    @few
    @given(key=keys, data=st.binary(max_size=300), size=st.integers(1, 100))
    def test_what_is_put_is_read_back(self, store, key, data, size):
        info = store.put(key, data)
        assert (info.key, info.size_bytes) == (key, len(data))
        assert store.describe(key) == info
        assert store.get(key) == data
        pieces = list(store.stream(key, chunk_bytes=size))
        assert b"".join(pieces) == data
        assert all(1 <= len(piece) <= size for piece in pieces)

    @few
    @given(pieces=st.lists(st.binary(max_size=50), max_size=8))
    def test_pieces_become_one_object(self, store, pieces):
        assert store.put("pieces", iter(pieces)).size_bytes == sum(map(len, pieces))
        assert store.get("pieces") == b"".join(pieces)

    @settings(few, max_examples=12)
    @given(
        steps=st.lists(
            st.tuples(st.sampled_from(["put", "put_if_absent", "delete"]), close_keys, st.binary(max_size=9)),
            max_size=15,
        ),
        prefix=st.sampled_from(["", "a", "a/", "a/b", "b/", "c"]),
    )
    def test_it_behaves_like_a_sorted_dictionary(self, store, steps, prefix):
        for key in listed(store):
            store.delete(key)
        model = {}
        for what, key, data in steps:
            if what == "put":
                store.put(key, data)
                model[key] = data
            elif what == "put_if_absent":
                assert store.put_if_absent(key, data) == (key not in model)
                model.setdefault(key, data)
            else:
                assert store.delete(key) == (model.pop(key, None) is not None)
        assert {key: store.get(key) for key in listed(store)} == model
        assert listed(store) == sorted(model)
        assert listed(store, prefix) == sorted(key for key in model if key.startswith(prefix))

    def test_a_new_store_is_empty(self, store):
        assert listed(store) == []
        assert listed(store, "any/thing") == []
        assert store.delete("a") is False
        assert store.sweep() == 0

    def test_what_is_not_there_is_told_with_key_and_store(self, store):
        store.put("a/b", b"")
        for read in (store.get, store.describe, lambda key: next(store.stream(key))):
            for key in ("c", "a", "a/b/c"):
                with pytest.raises(ObjectNotFoundError) as caught:
                    read(key)
                assert f" {key} " in str(caught.value)
                assert store.url in str(caught.value)
        assert store.delete("a") is False

    @pytest.mark.parametrize("call", ["put", "put_if_absent", "get", "stream", "describe", "delete"])
    def test_bad_keys_are_refused_at_once(self, store, call):
        for key in BAD_KEYS:
            with pytest.raises(ConfigError, match="not the key of an object"):
                getattr(store, call)(key, *([b""] if call.startswith("put") else []))
        assert listed(store) == []

    def test_bad_prefixes_are_refused_at_once(self, store):
        for prefix in ["/", "/a", "a//", "../", "a/../b", "a@", " ", None, "a" * 201]:
            with pytest.raises(ConfigError, match="no key of an object begins"):
                store.list(prefix)

    def test_the_longest_key_is_a_key(self, store):
        key = f"{'a' * 200}/{'b' * 200}/{'c' * 110}"
        assert len(key) == 512
        store.put(key, b"deep")
        assert store.get(key) == b"deep"
        assert listed(store, key[:300]) == [key]

    def test_only_bytes_are_written(self, store):
        store.put("a", b"old")
        for data in ("text", [b"ok", "text"], 7, [7], None):
            with pytest.raises(ConfigError, match="bytes"):
                store.put("a", data)
            with pytest.raises(ConfigError, match="bytes"):
                store.put_if_absent("b", data)
        assert (store.get("a"), listed(store)) == (b"old", ["a"])

    def test_pieces_have_a_size(self, store):
        for size in (0, -1, None, 1.5):
            with pytest.raises(ConfigError, match="chunk_bytes"):
                store.stream("a", chunk_bytes=size)

    @pytest.mark.parametrize("first", [b"some", bytes(12 * MIB)], ids=["small", "large"])
    def test_an_iterator_that_fails_leaves_nothing(self, store, first):
        class MineError(Exception):
            pass

        def pieces():
            yield first
            raise MineError

        with pytest.raises(MineError):
            store.put("new/one", pieces())
        assert listed(store) == []
        store.put("old", b"old")
        with pytest.raises(MineError):
            store.put("old", pieces())
        assert (store.get("old"), listed(store)) == (b"old", ["old"])

    def test_an_error_of_the_system_in_the_iterator_stays_the_callers(self, store):
        def pieces():
            yield b"some"
            raise FileNotFoundError("mine")

        with pytest.raises(FileNotFoundError, match="mine"):
            store.put("a", pieces())

    def test_an_object_can_be_copied_onto_itself(self, store):
        store.put("a", b"0123456789" * 100)
        store.put("a", store.stream("a", chunk_bytes=7))
        assert store.get("a") == b"0123456789" * 100

    def test_a_list_is_lazy_and_lives_with_changes(self, store):
        for n in range(30):
            store.put_if_absent(f"n/{n:02}", b"")
        infos = store.list("n/")
        assert next(infos).key == "n/00"
        store.delete("n/00")
        store.delete("n/29")
        rest = [info.key for info in infos]
        assert rest in ([f"n/{n:02}" for n in range(1, last)] for last in (29, 30))

    def test_large_objects_pass_through_little_memory(self, url, start_writer):
        writer = start_writer("carry", url, "large/one", 64)
        writer.begin()
        read_bytes, grown_bytes = writer.result()
        assert read_bytes == 64 * MIB
        assert grown_bytes < 40 * MIB

    def test_of_processes_that_race_for_a_key_exactly_one_wins(self, store, url, start_writer):
        count = 80
        writers = {name: start_writer("race", url, name, count) for name in ("one", "two")}
        for writer in writers.values():
            writer.begin()
        won = {name: writer.result() for name, writer in writers.items()}
        assert sorted(won["one"] + won["two"]) == list(range(count))
        assert listed(store) == [f"race/{n:04}" for n in range(count)]
        for name, numbers in won.items():
            assert all(store.get(f"race/{n:04}") == name.encode() for n in numbers)

    def test_of_threads_that_race_for_a_key_exactly_one_wins(self, store):
        won = []

        def write(name):
            if store.put_if_absent("one", name):
                won.append(name)

        threads = [threading.Thread(target=write, args=(str(n).encode(),)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert won == [store.get("one")]

    def test_readers_see_one_version_while_others_write(self, store, url, start_writer):
        store.put("hot", b"\1" * 1000)
        writers = [start_writer("overwrite", url, "hot", 60) for _ in range(2)]
        for writer in writers:
            writer.begin()
        reading = True
        while reading:
            reading = any(writer.process.poll() is None for writer in writers)
            for data in (store.get("hot"), b"".join(store.stream("hot", chunk_bytes=5000))):
                assert data == data[:1] * 1000 * data[0]
            assert listed(store) == ["hot"]
        assert store.get("hot") == bytes([60]) * 60_000

    def test_a_killed_writer_leaves_nothing_to_see(self, store, url, start_writer):
        writer = start_writer("hang", url, "dead/large")
        writer.begin()
        assert writer.hear() == "begun"
        writer.kill()
        assert listed(store) == []
        with pytest.raises(ObjectNotFoundError):
            store.get("dead/large")
        assert store.put_if_absent("dead/large", b"alive")
        assert store.get("dead/large") == b"alive"
