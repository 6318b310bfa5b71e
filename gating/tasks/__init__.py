"""What sequences are drawn from."""
