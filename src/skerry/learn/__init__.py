"""Learning with functions: searches today; federated and split training build on the same public face."""
