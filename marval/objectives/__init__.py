"""The losses, as pure functions of tensors: one value per sample; weighting and reduction happen in the training loop."""
