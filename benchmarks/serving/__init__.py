"""Skerry beside its peers on one machine: the same two workloads on every server, loaded in turn with wrk."""
