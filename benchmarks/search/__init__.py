"""Benchmark of `skerry.learn.search` against scikit-learn's serial grid search."""

import os

# Before NumPy loads: both arms fit on one thread, so that processor time compares work and not spinning.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
