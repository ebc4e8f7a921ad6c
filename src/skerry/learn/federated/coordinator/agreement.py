"""What parts of a plan go together; looked at before anybody is asked for anything."""

from __future__ import annotations

from skerry.errors import InvalidPayloadError, SpecError
from skerry.learn.federated.plan import Plan
from skerry.learn.federated.privacy.budget import require_accountant

AVERAGING = ("fedavg", "fedavgm", "fedprox", "fedadam", "fedyogi", "fedadagrad")
"""Strategies that need nothing of a round but the mean of its updates."""
REMEMBERING = (*AVERAGING, "fednova")
"""Those for which an update is as good in a later round."""


def check_plan(plan: Plan) -> None:
    """Refuse a plan whose parts contradict each other.

    Raises:
        SpecError: they do; the message says which, and what to do.
        ConfigError: it has noise, and nothing is installed that counts epsilon.
    """
    if (plan.clients_per_round or 0) > len(plan.members):
        _refuse(
            f"{plan.clients_per_round} clients per round, and there are {len(plan.members)}: ask for fewer, or "
            "leave it out for all"
        )
    if plan.strategy == "scaffold" and (plan.privacy or plan.central):
        _refuse(
            "strategy scaffold sends control variates, which differential privacy does not protect: "
            "take another strategy, or leave privacy out"
        )
    if plan.remember_rounds:
        _check_remembering(plan)
    if plan.secure is not None:
        _check_secure(plan)
    if plan.strategy in ("krum", "multi-krum"):
        _check_krum(plan)
    if any(noise is not None and noise.noise_multiplier for noise in (plan.privacy, plan.central)):
        require_accountant()


def remembered_rounds(plan: Plan) -> int:
    """Return for how many rounds a client that is not heard counts with its last update; 0 for none.

    What the plan says, and without a word of it ``late_rounds`` where every client is asked and rounds end at a quorum:
    without memory, what only a slow client has to teach is lost there, and with it up to 3 points of accuracy
    (``benchmarks.federated.stragglers``).
    """
    if plan.remember_rounds is not None:
        return plan.remember_rounds
    everyone = plan.selection == "all" and (plan.clients_per_round or len(plan.members)) >= len(plan.members)
    allowed = plan.strategy in REMEMBERING and not (plan.privacy or plan.central or plan.secure)
    wanted = plan.quorum_ratio < 1 and plan.keep_late  # who wants nothing of earlier rounds remembers nothing
    return plan.late_rounds if everyone and allowed and wanted else 0


def _check_krum(plan: Plan) -> None:
    from skerry.learn.federated.strategies import Krum, MultiKrum, find_strategy
    from skerry.learn.federated.strategies.krum import needed_replies

    strategy = find_strategy(plan.strategy, **plan.strategy_options)
    if not isinstance(strategy, Krum | MultiKrum):
        return
    most, needed = plan.clients_per_round or len(plan.members), needed_replies(strategy.malicious_clients)
    if most < needed:
        _refuse(
            f"{plan.strategy} with {strategy.malicious_clients} malicious clients needs at least {needed} replies, and "
            f"a round asks {most} clients: ask more, or set malicious_clients lower"
        )


def _check_remembering(plan: Plan) -> None:
    if plan.strategy not in REMEMBERING:
        _refuse(
            f"remember_rounds does not go with strategy {plan.strategy}, which takes replies for those of one round: "
            f"take one of {', '.join(REMEMBERING)}"
        )
    if plan.privacy or plan.central:
        _refuse(
            "remember_rounds does not go with differential privacy: an update that counts in several rounds brings its "
            "noise, or what the noise was to hide, into each of them; leave one of the two out"
        )


def _check_secure(plan: Plan) -> None:
    from skerry.learn.federated.secure.messages import LEAST_CLIENTS, read_terms

    contradictions = {
        f"strategy {plan.strategy}, which looks at single updates: take one of {', '.join(AVERAGING)}": (
            plan.strategy not in AVERAGING
        ),
        f"selection {plan.selection}, which asks how many rows each client has: take all, random or fedlesscan": (
            plan.selection in ("apodotiko", "clustered")
        ),
        "largest_norm: nobody can measure a single update; leave it out": plan.largest_norm is not None,
        "remember_rounds: nobody has a single update to remember; leave it out": remembered_rounds(plan) > 0,
        f"coding {plan.coding}: masked numbers look random; take float32": plan.coding not in ("float32", "float64"),
        "both local and central privacy: clients clip for the central noise; leave one of the two out": (
            plan.privacy is not None and plan.central is not None
        ),
    }
    for reason, found in contradictions.items():
        if found:
            _refuse(f"secure aggregation does not go with {reason}")
    most = plan.clients_per_round or len(plan.members)
    if most < LEAST_CLIENTS:
        _refuse(
            f"secure aggregation needs {LEAST_CLIENTS} clients in a round, and there are {most}: of two, each could "
            "take its own update off the sum"
        )
    try:
        read_terms(plan.secure_terms(1) or {})
    except InvalidPayloadError as error:
        _refuse(f"secure aggregation: {error.message}")


def _refuse(message: str) -> None:
    raise SpecError(message)
