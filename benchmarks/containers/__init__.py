"""How soon a container answers its first request."""
