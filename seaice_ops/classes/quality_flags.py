"""Why a label is missing or doubtful: the bits of the third band of `reflectance` labels."""

from __future__ import annotations

CLOUD = 1  # seen through a cloud, or hidden by one
SHADOW = 2  # in the shadow of a cloud
LOW_SUN = 4  # the sun is so low that brightness says little
SATURATED = 8  # a band is at the end of its scale
MIXED_EDGE = 16  # the pixel lies on the edge of two classes, or is between them in colour, and may hold both
ALL = CLOUD | SHADOW | LOW_SUN | SATURATED | MIXED_EDGE

NAMES = {
    CLOUD: "cloud",
    SHADOW: "shadow",
    LOW_SUN: "low sun",
    SATURATED: "saturated",
    MIXED_EDGE: "mixed edge",
}
