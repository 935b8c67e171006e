"""Settings: the orders of sampling."""

from enum import StrEnum


class OrderLaw(StrEnum):
    """How the unmasking order of an image is drawn; MAR and MARVAL use `random`."""

    RANDOM = "random"
    RASTER = "raster"
    CENTRE_OUT = "centre-out"
