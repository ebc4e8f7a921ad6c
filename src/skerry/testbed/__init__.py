"""Links, topologies, load and experiments on one machine."""
