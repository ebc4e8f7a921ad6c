"""Strategies: how the next model is made of the replies of a round, one file each."""
