"""Which idle models stay in memory, and how much there is."""
