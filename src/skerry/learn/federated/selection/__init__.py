"""Selections: whom a round asks, one file each."""

from skerry.learn.federated.selection.apodotiko import Apodotiko
from skerry.learn.federated.selection.base import Selection
from skerry.learn.federated.selection.catalogue import SELECTIONS, make_selection
from skerry.learn.federated.selection.clustered import Clustered
from skerry.learn.federated.selection.everyone import Everyone
from skerry.learn.federated.selection.fedlesscan import FedLesScan
from skerry.learn.federated.selection.uniform import Uniform

__all__ = [
    "SELECTIONS",
    "Apodotiko",
    "Clustered",
    "Everyone",
    "FedLesScan",
    "Selection",
    "Uniform",
    "make_selection",
]
