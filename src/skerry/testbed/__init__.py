"""What experiments need: links and topologies, load, and experiments that can be repeated."""
