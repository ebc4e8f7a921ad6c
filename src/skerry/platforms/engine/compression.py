"""Whether compressing a content pays: a pure decision on what was measured."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_BYTES = 256 * 1024
# A content below this goes in one or two packets more or less: looking costs as much as it could save.
SMALL_BYTES = 4096
# What a saving has to be, as a share of the time, before it is worth another machine's processor time as well.
LEAST_SAVING_RATIO = 0.05
# A link that nobody has measured yet: the uplink of a small site, 100 Mbit/s.
ASSUMED_BYTES_PER_S = 12.5e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What compressing the beginning of a content came to.

    Args:
        plain_bytes: Its size before, above 0.
        coded_bytes: Its size after.
        compress_s: How long it took, seconds.
    """

    plain_bytes: int
    coded_bytes: int
    compress_s: float

    @property
    def ratio(self) -> float:
        """The size after, as a share of the size before."""
        return self.coded_bytes / self.plain_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Whether to compress, and why."""

    compress: bool
    why: str


def choose(sample: Sample, *, left_bytes: int, rate_bytes_per_s: float) -> Choice:
    """Return whether the rest of a content arrives earlier when it is compressed.

    The time to compress and the time to send are added: where they overlap, compressing pays all the more.

    Args:
        sample: What compressing its beginning came to.
        left_bytes: What there is to send.
        rate_bytes_per_s: What the link carries.
    """
    plain_s = left_bytes / rate_bytes_per_s
    coded_s = plain_s * sample.ratio + sample.compress_s * left_bytes / sample.plain_bytes
    pays = coded_s < plain_s * (1 - LEAST_SAVING_RATIO)
    why = (
        f"{coded_s:.3g} s compressed to {sample.ratio:.0%}, {plain_s:.3g} s plain, "
        f"at {rate_bytes_per_s * 8 / 1e6:.3g} Mbit/s"
    )
    return Choice(compress=pays, why=why)
