"""What brings events to the broker besides publishers: nothing is given up there before its event is durable here."""
