"""Places that functions run on, one folder each."""

from skerry.platforms.base import Answer, AnswerStream, Cancellation, JobRecord, Platform
from skerry.platforms.options import CallOptions

__all__ = ["Answer", "AnswerStream", "CallOptions", "Cancellation", "JobRecord", "Platform"]
