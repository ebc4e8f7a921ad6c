"""Places that functions run on, one folder each."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.platforms.base import Answer, AnswerStream, Cancellation, JobRecord, Platform
    from skerry.platforms.options import CallOptions
else:
    from skerry.lazily import names_of

    __getattr__ = names_of(
        __name__,
        {
            "skerry.platforms.base": (
                "Answer",
                "AnswerStream",
                "Cancellation",
                "JobRecord",
                "Platform",
            ),
            "skerry.platforms.options": ("CallOptions",),
        },
    )

__all__ = ["Answer", "AnswerStream", "CallOptions", "Cancellation", "JobRecord", "Platform"]
