"""What is known of each client, and when a round ends; pure."""
