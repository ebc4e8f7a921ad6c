"""Where things are kept: objects, and the models made of them."""
