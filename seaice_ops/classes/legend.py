"""The class codes of every array, raster and table, with their names and colours.

The classes are optical, not thickness: snow on young ice reads thick. Bare melting ice and the melt ponds on it are
thick ice (WMO Sea-Ice Nomenclature: melting is no stage of development, a puddle is part of the ice it lies on).
"""

WATER = 1
THIN = 2
THICK = 3
CLOUD = 205
LOW_SUN = 210
LAND = 254
NODATA = 255

#: The classes a model predicts, in the order of its output channels.
CLASSES = (WATER, THIN, THICK)

NAMES = {
    WATER: "open water",
    THIN: "thin / young ice",
    THICK: "thick / snow-covered ice",
    CLOUD: "cloud, shadow or mixture that could not be classified",
    LOW_SUN: "sun too low / polar night",
    LAND: "land or ice shelf",
    NODATA: "no data",
}

#: Short identifiers, as in CF flag_meanings and metric names.
SLUGS = {
    WATER: "open_water",
    THIN: "thin_ice",
    THICK: "thick_ice",
    CLOUD: "cloud",
    LOW_SUN: "low_sun",
    LAND: "land_or_shelf",
    NODATA: "no_data",
}

#: RGBA, readable with common colour-vision deficiencies (dark to light with thickness).
COLOURS = {
    WATER: (8, 48, 107, 255),
    THIN: (92, 167, 217, 255),
    THICK: (240, 246, 250, 255),
    CLOUD: (189, 189, 189, 255),
    LOW_SUN: (82, 82, 82, 255),
    LAND: (150, 121, 92, 255),
    NODATA: (0, 0, 0, 0),
}
