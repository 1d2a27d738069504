"""Training side by side with loops written by hand in torch."""
