"""What models cost: from zero to the first prediction, in memory, under a rollback, and as paper 003 served them."""
