"""What rounds of federated learning cost, and what they reach."""
