"""A Kubernetes API server: objects in and out, and what refusals of it mean."""
