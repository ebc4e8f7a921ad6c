"""The pages of memory that a front and one worker share: what lies where."""

from __future__ import annotations

import mmap
import struct

PROGRESS = struct.Struct("=I")  # number of the call that the worker began last
HELD = struct.Struct("=I")  # bytes of answers that the worker holds back for a moment, to send several at once
CANCELLED = struct.Struct("=I")  # number of the call that is to stop, written by the front
HELD_AT = 4
CANCELLED_AT = 8
BUSY_AT = 12  # a word that is 1 while code of the handler runs, which may be interrupted
ANSWERS_AT = 16
PROGRESS_BYTES = 8 * mmap.PAGESIZE
