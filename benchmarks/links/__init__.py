"""How close emulated links come to what they were set to."""
