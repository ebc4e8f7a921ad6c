"""The side of a client: the user's training as functions, and what is kept at the site."""
