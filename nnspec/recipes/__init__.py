"""What is trained, on which data and how: from the text of `train` and `data` items to checked recipes. Free of torch."""
