"""What is measured on a model, and the table it goes into."""
