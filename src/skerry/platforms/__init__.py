"""Places that functions run on, one folder each."""

from skerry.platforms.base import Answer, Cancellation, JobRecord, Platform

__all__ = ["Answer", "Cancellation", "JobRecord", "Platform"]
