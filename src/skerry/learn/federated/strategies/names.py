"""Strategies by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from skerry.errors import SpecError
from skerry.learn.federated.strategies.base import Strategy
from skerry.learn.federated.strategies.fedadagrad import FedAdagrad
from skerry.learn.federated.strategies.fedadam import FedAdam
from skerry.learn.federated.strategies.fedavg import FedAvg
from skerry.learn.federated.strategies.fedavgm import FedAvgM
from skerry.learn.federated.strategies.fedbuff import FedBuff
from skerry.learn.federated.strategies.fednova import FedNova
from skerry.learn.federated.strategies.fedprox import FedProx
from skerry.learn.federated.strategies.fedyogi import FedYogi
from skerry.learn.federated.strategies.krum import Krum, MultiKrum
from skerry.learn.federated.strategies.median import Median
from skerry.learn.federated.strategies.scaffold import Scaffold
from skerry.learn.federated.strategies.trimmed_mean import TrimmedMean

_CLASSES: tuple[type[Any], ...] = (
    FedAvg,
    FedAvgM,
    FedProx,
    FedAdam,
    FedYogi,
    FedAdagrad,
    Scaffold,
    FedNova,
    Median,
    TrimmedMean,
    Krum,
    MultiKrum,
    FedBuff,
)

STRATEGIES: Mapping[str, type[Any]] = MappingProxyType({kind.name: kind for kind in _CLASSES})
"""All strategies by name."""


def find_strategy(name: str, **settings: Any) -> Strategy:
    """Return the strategy of this name with these settings.

    Args:
        name: One of ``STRATEGIES``.
        settings: As the strategy's class takes them.

    Raises:
        SpecError: no such strategy or setting, or a setting that is out of range.

    Example:
        >>> find_strategy("trimmed-mean", trim_ratio=0.1)
        TrimmedMean(trim_ratio=0.1)
    """
    kind = STRATEGIES.get(name)
    if kind is None:
        raise SpecError(f"unknown strategy {name!r}; there are {', '.join(STRATEGIES)}")
    known = [field.name for field in fields(kind)]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise SpecError(
            f"strategy {name!r} has no setting {', '.join(map(repr, unknown))}; "
            + (f"it has {', '.join(known)}" if known else "it has none")
        )
    strategy: Strategy = kind(**settings)
    return strategy
