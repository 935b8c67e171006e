"""What an image costs: operations and weight traffic counted from the networks' own code, and the least time they allow."""
