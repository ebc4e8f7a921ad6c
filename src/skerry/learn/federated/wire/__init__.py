"""What travels between the coordinator and its clients: vectors, codings, messages, tokens, checks."""
