"""Benchmarks of network functions: how well attacks are found, and how fast an action is taken back."""

import os

# Before NumPy loads: threads of one fit that wait for each other tell nothing about it.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
