"""A long mixed load on an engine: nothing fails that should not, and nothing grows."""
