"""The published judges at full scale, read from weights files that the user has: nothing is downloaded here.

Inception (FID, IS), DINOv2 (FD-DINOv2), CLIP, ImageReward and PickScore, through the libraries that they were published for.
"""
