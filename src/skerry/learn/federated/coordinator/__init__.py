"""The side of the coordinator: rounds, from whom is asked to the next model."""
