"""Wall-clock time of images, beside the least time that the machine allows."""
