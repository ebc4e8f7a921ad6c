"""States: increments by several functions at once, exact, and how fast."""
