import pytest

import skerry
from skerry.errors import PrivacyError
from skerry.platforms.kubernetes.calling.inputs import InputWriter, refuse_local
from skerry.platforms.outgoing import Outbox
from skerry.store.inputs import InputStore, SharedInputs


@pytest.fixture
def url(tmp_path):
    return str(tmp_path / "objects")


def outgoing(item):
    box = Outbox()
    box.refer(item)
    return box.items


def make_folder(tmp_path):
    (tmp_path / "ports" / "fr").mkdir(parents=True)
    (tmp_path / "ports" / "fr" / "brest.csv").write_text("12\n")
    (tmp_path / "ports" / "es.csv").write_text("9\n")
    return skerry.Folder(tmp_path / "ports")


def test_a_folder_is_written_once_and_only_what_is_new_of_the_next(tmp_path, url):
    folder = make_folder(tmp_path)
    with skerry.count_transfer() as transfer:
        for _ in range(2):
            InputWriter(url).send(outgoing(folder))
    assert len(transfer.contents) == 3

    (tmp_path / "ports" / "pt.csv").write_text("7\n")
    writer = InputWriter(url)
    with skerry.count_transfer() as transfer:
        writer.send(outgoing(folder))
        writer.send(outgoing(folder))
    assert transfer.contents[0].size_bytes == 2
    assert len(transfer.contents) == 2  # the file and the listing


def test_what_was_lost_is_written_again_when_the_pods_say_so(tmp_path, url):
    items = outgoing(make_folder(tmp_path))
    writer = InputWriter(url)
    writer.send(items)
    for content in items[0].contents:
        SharedInputs(url)._objects().delete(f"contents/{content.sha256}")

    writer.send(items)
    assert not SharedInputs(url).has(items[0].reference.hex, len(items[0].contents[-1].source))
    writer.send(items, again=True)

    here = InputStore(tmp_path / "here")
    SharedInputs(url).fetch(here, items[0].reference, "folder")


def test_what_is_local_is_refused_by_name(tmp_path):
    (tmp_path / "patients.csv").write_text("1\n")
    with pytest.raises(PrivacyError, match=r"patients.csv is labelled local: .* and site 'hut' is another one"):
        refuse_local(outgoing(skerry.File(tmp_path / "patients.csv", local=True)), "site 'hut'")
