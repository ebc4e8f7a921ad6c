"""What a cluster lacks for Skerry, and how to mend it."""
