"""Flower's simulation of empty rounds, for `rounds.py`; runs in a Python that has ``flwr[simulation]``, without Skerry.

``PYTHON flower_rounds.py ROUNDS CLIENTS SIZE`` prints the milliseconds from the end of each round to that of the next.
"""

import json
import sys
import time
from itertools import pairwise
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

ROUNDS, CLIENTS, SIZE = map(int, sys.argv[1:])
ends_s: list[float] = []
client, server = ClientApp(), ServerApp()


class Timed(FedAvg):
    """FedAvg that remembers when each round had been aggregated."""

    def aggregate_train(self, server_round: Any, replies: Any) -> Any:
        """Aggregate, and look at the clock."""
        result = super().aggregate_train(server_round, replies)
        ends_s.append(time.perf_counter())
        return result


@client.train()
def train(message: Message, context: Context) -> Message:
    """Return the model as it came."""
    content = RecordDict({"arrays": message.content["arrays"], "metrics": MetricRecord({"num-examples": 1})})
    return Message(content=content, reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds."""
    strategy = Timed(fraction_evaluate=0.0, min_train_nodes=CLIENTS, min_available_nodes=CLIENTS, min_evaluate_nodes=0)
    strategy.start(grid=grid, initial_arrays=ArrayRecord([np.zeros(SIZE, np.float32)]), num_rounds=ROUNDS)


if __name__ == "__main__":
    run_simulation(server_app=server, client_app=client, num_supernodes=CLIENTS)
    print(json.dumps([(after - before) * 1e3 for before, after in pairwise(ends_s)]))
