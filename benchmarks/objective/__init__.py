"""Whether a latency objective is kept under bursts, and what batching is worth there."""
