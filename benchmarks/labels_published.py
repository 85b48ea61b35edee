"""The published labelling as its authors run it: split a scene into 256-px tiles, segment each in HSV, paint, merge."""

from __future__ import annotations

import cv2
import numpy as np

TILE = 256
COLOURS = {3: (255, 0, 0), 2: (0, 0, 255), 1: (0, 255, 0)}
LIMITS = {3: ((0, 0, 205), (185, 255, 255)), 2: ((0, 0, 31), (185, 255, 204)), 1: ((0, 0, 0), (185, 255, 30))}


def segmented(rgb: np.ndarray) -> np.ndarray:
    """The colour segmentation of one tile, painted."""
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    painted = np.zeros_like(rgb)
    for code, (low, high) in LIMITS.items():
        painted[cv2.inRange(hsv, np.array(low), np.array(high)) > 0] = COLOURS[code]
    return painted


def by_tiles(rgb: np.ndarray) -> np.ndarray:
    """Split, segment each tile, merge."""
    rows, columns = rgb.shape[:2]
    return np.vstack(
        [
            np.hstack([segmented(rgb[y : y + TILE, x : x + TILE].copy()) for x in range(0, columns, TILE)])
            for y in range(0, rows, TILE)
        ]
    )


def filtered(rgb: np.ndarray) -> np.ndarray:
    """The thin-cloud and shadow filter of a whole scene: 0, 155 and 255."""
    water = cv2.inRange(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV), np.array(LIMITS[1][0]), np.array(LIMITS[1][1])) > 0
    painted = rgb.copy()
    painted[water] = (255, 255, 255)
    grey = cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY)
    background = cv2.medianBlur(cv2.dilate(grey, np.ones((7, 7), np.uint8)), 155)
    difference = 255 - cv2.absdiff(grey, background)
    _, mask = cv2.threshold(difference, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    kept = cv2.normalize(cv2.bitwise_and(difference, mask), None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8UC1)
    _, cut = cv2.threshold(kept, 235, 0, cv2.THRESH_TRUNC)
    stretched = cv2.normalize(cut, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8UC1)
    answer = np.full(stretched.shape, 255, np.uint8)
    answer[stretched <= 204] = 155
    answer[water] = 0
    return answer


def filtered_by_tiles(rgb: np.ndarray) -> np.ndarray:
    """The whole: filter the scene, then segment what the filter shows tile by tile."""
    return by_tiles(cv2.merge([filtered(rgb)] * 3))


def codes_of(painted: np.ndarray) -> np.ndarray:
    """Class codes of a painted image."""
    codes = np.zeros(painted.shape[:2], np.uint8)
    for code, pure in COLOURS.items():
        codes[(painted == pure).all(axis=2)] = code
    return codes
