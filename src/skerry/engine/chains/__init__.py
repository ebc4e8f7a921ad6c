"""The engine as the host of chains."""
