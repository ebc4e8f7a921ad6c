import os
import threading
import time

import numpy as np
import pytest

from skerry.learn.federated.clients.site_store import KEPT_JOBS, KEPT_S, Held, SiteStore, default_root, prune_jobs
from skerry.learn.federated.wire.messages import FitReply

REPLY = FitReply(job="j", round=1, client="a", token="t", model_digest="d")


def held(value=1.0, **changes):
    return Held(model=np.full(3, value, np.float32), digest="d", **changes)


def test_what_a_client_holds_is_there_for_the_next_worker(tmp_path):
    store = SiteStore(tmp_path, "job", "a")
    with store.locked():
        assert store.read() is None
        store.write(held(residual=np.ones(3, np.float32), reply=REPLY))
    found = SiteStore(tmp_path, "job", "a").read()
    assert found.model.tolist() == [1, 1, 1]
    assert found.residual.tolist() == [1, 1, 1]
    assert found.control is None
    assert found.reply == REPLY
    assert SiteStore(tmp_path, "job", "b").read() is None
    assert SiteStore(tmp_path, "other", "a").read() is None


def test_a_file_that_is_not_whole_is_as_if_there_were_none(tmp_path):
    store = SiteStore(tmp_path, "job", "a")
    with store.locked():
        store.write(held())
    (path,) = tmp_path.rglob("*.held")
    path.write_bytes(path.read_bytes()[:-1])
    assert store.read() is None


def test_the_old_one_counts_where_a_loss_of_power_left_the_new_one_in_part_and_the_new_one_where_both_are_whole(
    tmp_path,
):
    store = SiteStore(tmp_path, "job", "a")
    with store.locked():
        store.write(held(1.0))
        (first,) = tmp_path.rglob("*.held")
        kept = first.read_bytes()
        store.write(held(2.0))
        first.write_bytes(kept)
        assert store.read().model.tolist() == [2, 2, 2]
        newest = max(tmp_path.rglob("*.held"))
        newest.write_bytes(newest.read_bytes()[:-1])
        assert store.read().model.tolist() == [1, 1, 1]
        store.write(held(3.0))
        assert store.read().model.tolist() == [3, 3, 3]
        assert len(list(tmp_path.rglob("*.held"))) == 1


@pytest.mark.parametrize("name", ["../../escape", "a/b", "ä ö", ".", "a.b"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    root = tmp_path / "root"
    for job, client in ((name, "a"), ("job", name)):
        store = SiteStore(root, job, client)
        with store.locked():
            store.write(held())
        assert store.read() is not None
    assert {path.name for path in tmp_path.iterdir()} == {"root"}
    assert all(len(path.relative_to(root).parts) == 2 for path in root.rglob("*.held"))


def test_two_workers_never_have_a_clients_things_at_the_same_time(tmp_path):
    first_has_it, may_end, order = threading.Event(), threading.Event(), []

    def hold():
        with SiteStore(tmp_path, "job", "a").locked():
            first_has_it.set()
            may_end.wait(30)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    assert first_has_it.wait(30)
    with SiteStore(tmp_path, "job", "b").locked():  # another client waits for nobody
        order.append("other")
    may_end.set()
    with SiteStore(tmp_path, "job", "a").locked():
        order.append("second")
    thread.join(30)
    assert order == ["other", "first", "second"]


def test_old_jobs_and_all_but_the_newest_are_removed(tmp_path):
    now_s = time.time()
    for number in range(KEPT_JOBS + 3):
        folder = tmp_path / f"job-{number}"
        folder.mkdir()
        os.utime(folder, (now_s - number, now_s - number))
    old = tmp_path / "old"
    old.mkdir()
    os.utime(old, (now_s - KEPT_S - 60,) * 2)
    prune_jobs(tmp_path, now_s=now_s)
    assert {path.name for path in tmp_path.iterdir()} == {f"job-{number}" for number in range(KEPT_JOBS)}


def test_the_default_folder_is_in_that_of_the_engine_around(monkeypatch, tmp_path):
    monkeypatch.setenv("SKERRY_ENGINE", str(tmp_path / "engine.sock"))
    assert default_root("digits") == tmp_path / "federated" / "digits"
    monkeypatch.delenv("SKERRY_ENGINE")
    assert default_root("digits").is_absolute()
