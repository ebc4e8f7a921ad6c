import numpy as np
import pytest

from skerry.errors import ConfigError
from skerry.learn.federated import Member, Plan, read_model, read_run
from skerry.learn.federated.record.record import Checkpoint, Record, read_checkpoint, write_request
from skerry.learn.federated.record.results import RoundResult
from skerry.learn.federated.wire.parameters import Layout, digest_of

LAYOUT = Layout.of({"w": np.zeros(3, np.float32)})
PLAN = Plan(job="j", members=(Member(name="a"),), rounds=9)


def checkpoint_of(round, **changes):
    model = np.full(3, round, np.float32)
    values = {"round": round, "layout": LAYOUT, "model": model, "view": model, "state": {"m": np.full(2, round)}}
    return Checkpoint(**{**values, **changes})


def result_of(round, accuracy=0.5):
    return RoundResult(
        round=round,
        started_at=1.0,
        ended_at=2.0,
        chosen=("a",),
        replies=(),
        metrics={"accuracy": accuracy},
        bytes_up=10,
        bytes_down=20,
        model_digest=digest_of(checkpoint_of(round).model),
    )


def run_rounds(folder, count):
    with Record(folder, PLAN) as record:
        record.tell("started")
        record.commit(checkpoint_of(0), None)
        for round in range(1, count + 1):
            record.choose(round, ("a",))
            record.log(round).close()
            record.commit(checkpoint_of(round), result_of(round, 0.9 if round == 2 else 0.5), best=round == 2)
            record.tell("round-ended", round)


def test_a_run_goes_on_after_its_last_round_and_keeps_two_models_and_the_best(tmp_path):
    run_rounds(tmp_path, 5)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["00004.model", "00005.model", "best.model"]
    left = sorted(path.name for path in (tmp_path / "rounds").iterdir() if path.suffix != ".json")
    assert left == ["00005.chosen", "00005.replies"]
    with Record(tmp_path) as record:
        found = record.latest()
        assert record.plan == PLAN
    assert (found.round, found.model.tolist(), found.state["m"].tolist()) == (5, [5, 5, 5], [5, 5])
    assert found.view is found.model
    assert read_model(tmp_path)["w"].tolist() == [5, 5, 5]
    assert read_model(tmp_path, "best")["w"].tolist() == [2, 2, 2]
    view = read_run(tmp_path)
    assert view.state == "interrupted"
    assert view.best == (2, 0.9)
    assert (view.bytes_up, view.bytes_down) == (50, 100)
    assert [result.round for result in view.rounds] == [1, 2, 3, 4, 5]


def test_a_checkpoint_that_the_disk_has_half_of_is_made_again_from_the_round_before(tmp_path):
    run_rounds(tmp_path, 3)
    last = tmp_path / "models" / "00003.model"
    last.write_bytes(last.read_bytes()[:-1])
    assert read_checkpoint(last) is None
    with Record(tmp_path) as record:
        assert record.latest().round == 2
        assert record.chosen(3) == ("a",)
    assert (tmp_path / "rounds" / "00003.replies").exists()


def test_what_a_coordinator_that_died_has_left_is_removed(tmp_path):
    with Record(tmp_path, PLAN) as record:
        for round in (3, 4, 5):
            record.choose(round, ("a",))
            record.log(round).close()
            (tmp_path / "models" / f"{round:05}.model").touch()
        record.tidy(5)
    assert sorted(path.name for path in (tmp_path / "rounds").iterdir()) == ["00005.chosen", "00005.replies"]
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["00004.model", "00005.model"]


def test_a_round_whose_file_the_disk_has_lost_is_left_out_of_views(tmp_path):
    run_rounds(tmp_path, 3)
    (tmp_path / "rounds" / "00002.json").write_bytes(b"")
    assert [result.round for result in read_run(tmp_path).rounds] == [1, 3]


def test_a_choice_that_the_disk_has_lost_is_made_again(tmp_path):
    with Record(tmp_path, PLAN) as record:
        record.choose(1, ("a",))
        assert record.chosen(1) == ("a",)
        (tmp_path / "rounds" / "00001.chosen").write_bytes(b"")
        assert record.chosen(1) is None


def test_a_view_that_is_not_the_model_is_kept_too(tmp_path):
    with Record(tmp_path, PLAN) as record:
        record.commit(checkpoint_of(1, view=np.zeros(3, np.float32), best=0.5, histories="[1]"), None)
        found = record.latest()
    assert found.view.tolist() == [0, 0, 0]
    assert (found.best, found.histories) == (0.5, "[1]")


def test_half_a_line_of_events_is_cut_off(tmp_path):
    run_rounds(tmp_path, 1)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"kind": "fin')
    assert read_run(tmp_path).state == "interrupted"
    with Record(tmp_path) as record:
        assert read_run(tmp_path).state == "running"
        record.tell("round-started", 2, chosen=["a"])
        record.tell("finished")
    view = read_run(tmp_path)
    assert view.state == "finished"
    assert [event.kind for event in view.events] == ["round-started"]


def test_what_a_person_asks_for_is_seen_by_the_coordinator_and_by_views(tmp_path):
    with Record(tmp_path, PLAN) as record:
        assert record.request() is None
        write_request(tmp_path, "pause")
        assert record.request() == "pause"
        assert read_run(tmp_path).requested == "pause"
        write_request(tmp_path, "cancel")
        assert record.request() == "cancel"
    assert read_run(tmp_path).state == "cancelled"


def test_the_secret_is_for_its_owner_only_and_stays_the_same(tmp_path):
    with Record(tmp_path, PLAN) as record:
        secret = record.secret
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    with Record(tmp_path) as record:
        assert record.secret == secret


def test_a_folder_without_a_model_says_so(tmp_path):
    with Record(tmp_path, PLAN):
        pass
    with pytest.raises(ConfigError, match="no last model"):
        read_model(tmp_path)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(ConfigError, match="is no plan"):
        read_run(tmp_path)


@pytest.mark.parametrize("which", ["round-2", "Best", 2])
def test_a_model_that_a_run_does_not_keep_is_not_another_one(tmp_path, which):
    run_rounds(tmp_path, 3)
    with pytest.raises(ConfigError, match="'last' and its 'best'"):
        read_model(tmp_path, which)
