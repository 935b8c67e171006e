"""The published judges at full scale, read from weights files that the user has: nothing is downloaded here.

Inception (FID, IS), CLIP, ImageReward and PickScore, through the libraries that they were published for.
"""
