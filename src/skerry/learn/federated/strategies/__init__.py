"""Strategies: how the next model is made of the replies of a round, one file each."""

from skerry.learn.federated.strategies.base import Instructions, ListedReplies, Received, Replies, State, Strategy
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
from skerry.learn.federated.strategies.names import STRATEGIES, find_strategy
from skerry.learn.federated.strategies.scaffold import Scaffold, client_control
from skerry.learn.federated.strategies.trimmed_mean import TrimmedMean

__all__ = [
    "STRATEGIES",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedBuff",
    "FedNova",
    "FedProx",
    "FedYogi",
    "Instructions",
    "Krum",
    "ListedReplies",
    "Median",
    "MultiKrum",
    "Received",
    "Replies",
    "Scaffold",
    "State",
    "Strategy",
    "TrimmedMean",
    "client_control",
    "find_strategy",
]
