"""Messages of a NATS server, over nats-py."""
