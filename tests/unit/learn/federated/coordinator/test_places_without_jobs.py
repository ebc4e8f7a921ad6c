"""How tasks are told where nothing keeps jobs, such as on a cluster."""

import threading
from types import SimpleNamespace

import pytest

from skerry.errors import ConfigError, TransportError
from skerry.learn.federated.coordinator.conversation import SHORT, Talk, spoken_to
from skerry.learn.federated.coordinator.federation import Federation
from skerry.learn.federated.coordinator.room import HELD_BYTES, Room
from skerry.learn.federated.plan import Member, Plan
from skerry.learn.federated.wire.messages import Secure
from skerry.spec import Site

HUT = Site(name="hut", platform="knative", address="http://127.0.0.1:1", namespace="edge", domain="example.com")


class Called:
    """A function whose place keeps no jobs; its first pod is lost."""

    keeps_jobs = False

    def __init__(self):
        self.tasks = []

    def remote(self, task):
        self.tasks.append(task)
        if len(self.tasks) == 1:
            raise TransportError("the pod was lost", sent=True)
        return SimpleNamespace(status="done" if task == "whole" else "base-missing")


def test_a_task_whose_pod_is_lost_is_sent_again_and_then_with_the_whole_model():
    function = Called()
    talk = Talk(
        function=spoken_to(function, Room(8, 1)),
        short=lambda: "short",
        whole=lambda: "whole",
        ended=threading.Event(),
        room=Room(8, 1),
    )

    assert talk.run().status == "done"
    assert function.tasks == ["short", "short", "whole"]


def test_a_function_whose_place_keeps_jobs_is_spawned_and_waited_for_where_there_is_room_meanwhile():
    function = SimpleNamespace(keeps_jobs=True, with_options=lambda **options: options)
    assert spoken_to(function, Room(8, 1)) == {"wait": SHORT}
    assert spoken_to(function, Room(HELD_BYTES, 32)) is function


def test_secure_aggregation_is_refused_where_functions_do_not_share_what_they_keep(tmp_path):
    names = ("a", "b", "c")
    plan = Plan(job="run-1", rounds=1, members=tuple(Member(name=name, site=name) for name in names), secure=Secure())
    federation = Federation(tmp_path / "run", plan, places=dict.fromkeys(names, HUT))

    with pytest.raises(ConfigError, match="secure aggregation does not go with site"):
        federation.run()
