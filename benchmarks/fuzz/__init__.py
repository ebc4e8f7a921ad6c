"""Fuzzing of what reads bytes of others: the HTTP front, the frames of workers, and the front behind bad workers."""
