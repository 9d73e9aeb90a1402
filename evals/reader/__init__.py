"""Training the reader that comes with the product: examples, the training itself, and what it is measured on."""
