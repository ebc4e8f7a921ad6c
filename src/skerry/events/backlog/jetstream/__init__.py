"""The backlog on NATS JetStream: a stream of events, and what each trigger has dealt with in a key-value bucket."""
