"""The folder of a run: what was decided and what came, on disk before it counts."""
