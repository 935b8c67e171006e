"""What the training loop trains: one file a method, each a batch to draw and the updates to make on it."""
