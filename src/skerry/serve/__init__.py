"""Models as functions: what goes into the store, and what answers for it in a worker."""

from skerry.serve.publishing import push

__all__ = ["push"]
