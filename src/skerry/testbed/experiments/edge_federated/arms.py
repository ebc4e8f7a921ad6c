"""What the client does in the arms that train: it asks the cloud to coordinate, watches, and has the model served."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

from skerry.errors import DataError, HandlerError
from skerry.learn.federated.plan import Member, Plan
from skerry.testbed.experiments.edge_federated import app
from skerry.testbed.experiments.edge_federated.course import Course
from skerry.testbed.experiments.edge_federated.images import TEST
from skerry.testbed.experiments.edge_federated.messages import Address, Division, Order, Part
from skerry.testbed.experiments.edge_federated.publishing import serve_model
from skerry.testbed.experiments.edge_federated.sites import CLOUD, EDGES
from skerry.testbed.experiments.edge_federated.way import Way, choose_way, describe_way, make_division
from skerry.testbed.experiments.experiment import Outcome, Trial
from skerry.testbed.experiments.place import SiteAddress

LOG_LINES = 40


def run_federated(trial: Trial) -> Outcome:
    """Train over the sites in the way of the arm, coordinated in the cloud, and serve the model at an edge site."""
    way = choose_way(trial, trial.arm)
    division = make_division(trial, way)
    parts = settle_all(trial, division)
    plan = make_plan(trial, way, division)
    course = coordinate(trial, plan)
    served = serve_model(trial, plan.job, division)
    story = [
        *(f"{name} has {part.rows} images of {part.data}: {_say_labels(part)}" for name, part in parts.items()),
        f"the coordinator ran at {CLOUD}, {len(course.accuracy)} rounds",
        *served.story,
    ]
    return Outcome(
        values={**course.values(), **served.values},
        notes={**course.notes(), **served.notes, "images": {name: list(part.labels) for name, part in parts.items()}},
        story=story,
    )


def make_plan(trial: Trial, way: Way, division: Division) -> Plan:
    """Return the plan of a run; its name is new, and nothing else differs between two with the same seed."""
    return Plan(
        job=f"{trial.arm}-{secrets.token_hex(4)}",
        members=tuple(Member(name=name, site=name) for name in EDGES),
        rounds=way.rounds,
        seed=trial.seed,
        settings=describe_way(way, division),
        server=CLOUD,
    )


def settle_all(trial: Trial, division: Division) -> dict[str, Part]:
    """Have every site work out its images, and return what they have."""
    jobs = [(name, name) for name in EDGES] + [(name, TEST) for name in (*EDGES, CLOUD)]

    def settle(job: tuple[str, str]) -> Part:
        site, name = job
        return app.settle.at(trial.sites[site].place()).remote(division, name)

    with ThreadPoolExecutor(max_workers=len(EDGES)) as threads:
        parts = list(threads.map(settle, jobs))
    return dict(zip(EDGES, parts, strict=False))


def coordinate(trial: Trial, plan: Plan) -> Course:
    """Have the cloud run a plan, and watch it to its end."""
    sites = tuple(Address(**trial.sites[name].to_json()) for name in (*EDGES, CLOUD))
    course = Course()
    try:
        for result in app.coordinate.at(trial.sites[CLOUD].place()).stream(Order(plan=plan, sites=sites)):
            course.take(result)
    except HandlerError as error:
        # The place is gone when the run has ended, and its logs with it.
        raise DataError(f"{error.message}; its log ends with:\n{_read_log(trial.sites[CLOUD])}") from error
    return course


def _read_log(site: SiteAddress) -> str:
    platform = site.connect()
    try:
        text, _ = platform.logs(app.coordinate.name, tail=LOG_LINES)
    finally:
        platform.close()
    return text


def _say_labels(part: Part) -> str:
    return ", ".join(f"{count} of {digit}" for digit, count in enumerate(part.labels) if count)
