"""Measurements: each prints its method, the machine, the versions, medians and spreads, and writes them as JSON."""
