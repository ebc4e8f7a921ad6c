"""Images to learn from, how they are divided among clients, and how evenly a model serves those."""
