"""The nodes of the topology ``paper-003`` that have a part in the experiment."""

EDGES = ("edge-1", "edge-2", "edge-3")
CLOUD = "aggregator"
