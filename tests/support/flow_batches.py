"""Flow records as columns, made of rows."""

import numpy as np

from skerry.network.flows import FlowBatch
from skerry.network.flows.batch import FLOW, addresses


def batch(*rows):
    """Return records of (source, destination, source port, port, protocol, flags, packets, bytes)."""
    records = np.zeros(len(rows), FLOW)
    for column, index in (("source", 0), ("destination", 1)):
        records[column] = addresses([row[index] for row in rows])
    names = ("source_port", "destination_port", "protocol", "tcp_flags", "packets", "bytes")
    for index, name in enumerate(names, start=2):
        records[name] = [row[index] for row in rows]
    records["sampling"] = 1
    return FlowBatch(records=records)
