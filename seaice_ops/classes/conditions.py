"""Under which conditions a reference pixel was seen: the bits of a truth's companion `<scene_id>.conditions.tif`.

A u8 bit mask on the truth's grid. The simulator writes it and label quality is reported by it; no labeller reads it.
"""

from __future__ import annotations

THIN_CLOUD = 1  # cloud through which the surface can still be told
SHADOW = 2  # in the shadow of a cloud
LOW_SUN = 4  # the whole scene's sun is low
WIDE_THIN = 8  # inside a field of thin ice more than 2 km wide
NARROW_LEAD = 16  # in a lead 30 to 100 m wide
MIXED = 32  # the pixel holds more than one class

NAMES = {
    THIN_CLOUD: "thin cloud",
    SHADOW: "shadow",
    LOW_SUN: "low sun",
    WIDE_THIN: "wide thin ice",
    NARROW_LEAD: "narrow lead",
    MIXED: "mixed pixel",
}
