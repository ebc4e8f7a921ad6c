"""Models: in memory once, stored once."""
