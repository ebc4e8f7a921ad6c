import pytest

import skerry
from skerry.errors import SpecError
from skerry.payload.file import use_port
from skerry.platforms.labels import DataLabels
from skerry.platforms.outgoing import Outbox


@pytest.fixture
def project(tmp_path):
    (tmp_path / "skerry.toml").write_text('[data]\nlocal = ["patients/*", "secret", "*.key"]\n')
    (tmp_path / "patients" / "deep").mkdir(parents=True)
    for place in ("patients/a.csv", "patients/deep/b.csv", "open.csv", "my.key"):
        (tmp_path / place).write_text(place)
    return tmp_path


@pytest.mark.parametrize(
    ("place", "local"),
    [
        ("patients/a.csv", True),
        ("patients/deep/b.csv", True),
        ("secret/any/thing", True),
        ("deep/my.key", True),
        ("open.csv", False),
        ("patients.csv", False),
        ("../patients/a.csv", False),
    ],
)
def test_patterns_are_relative_to_the_project(project, place, local):
    assert DataLabels([project]).is_local(str(project / place)) is local


def test_a_link_to_local_data_is_local(project, tmp_path):
    (project / "innocent.csv").symlink_to(project / "patients" / "a.csv")
    assert DataLabels([project]).is_local(str(project / "innocent.csv"))


def test_a_folder_with_a_local_file_in_it_is_local(project):
    outbox = Outbox([project])
    with use_port(outbox):
        outbox.refer(skerry.Folder(project))
        outbox.refer(skerry.File(project / "open.csv"))
        outbox.refer(skerry.File(project / "patients" / "a.csv"))
    assert [item.local for item in outbox.items] == [True, False, True]


def test_labels_that_are_none_are_refused(tmp_path):
    (tmp_path / "skerry.toml").write_text('[data]\nlocal = "patients"\n')
    with pytest.raises(SpecError, match="list of strings"):
        DataLabels([tmp_path])
    assert not DataLabels([tmp_path / "nowhere"]).is_local("/any")
