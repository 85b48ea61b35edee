"""The published labelling steps in plain OpenCV, written from the paper's text, to compare ours with."""

from __future__ import annotations

import cv2
import numpy as np

LIMITS = {3: ((0, 0, 205), (185, 255, 255)), 2: ((0, 0, 31), (185, 255, 204)), 1: ((0, 0, 0), (185, 255, 30))}


def segment(rgb: np.ndarray) -> np.ndarray:
    """Class codes by the published HSV limits."""
    hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV)
    codes = np.zeros(rgb.shape[:2], np.uint8)
    for code, (low, high) in LIMITS.items():
        codes[cv2.inRange(hsv, np.array(low), np.array(high)) > 0] = code
    return codes


def filtered(rgb: np.ndarray, dilate: int = 7, median: int = 155) -> np.ndarray:
    """The thin-cloud and shadow filter: 0 water, 155 thin, 255 thick. Knows no no-data."""
    water = rgb.max(axis=2) <= 30
    painted = rgb.copy()
    painted[water] = (255, 255, 255)
    grey = cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY)
    background = cv2.medianBlur(cv2.dilate(grey, np.ones((dilate, dilate), np.uint8)), median)
    difference = 255 - cv2.absdiff(grey, background)
    _, mask = cv2.threshold(difference, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    kept = cv2.bitwise_and(difference, mask)
    stretched = cv2.normalize(kept, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8UC1)
    _, cut = cv2.threshold(stretched, 235, 0, cv2.THRESH_TRUNC)
    stretched = cv2.normalize(cut, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8UC1)
    answer = np.where(stretched <= 204, 155, 255).astype(np.uint8)
    answer[water] = 0
    return answer


def filtered_codes(rgb: np.ndarray, dilate: int = 7, median: int = 155) -> np.ndarray:
    """`filtered` as class codes."""
    table = np.zeros(256, np.uint8)
    table[[0, 155, 255]] = 1, 2, 3
    return table[filtered(rgb, dilate, median)]


def exact_median(image: np.ndarray, size: int) -> np.ndarray:
    """Median of size x size pixels, edges repeated, counted level by level: exact for any size, and slow."""
    padded = np.pad(image, size // 2, mode="edge")
    answer = np.full(image.shape, -1)
    for level in np.unique(image):
        total = np.pad((padded <= level).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        inside = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
        answer[(answer < 0) & (inside > size * size // 2)] = level
    return answer.astype(np.uint8)


def masked_oracle(rgb: np.ndarray, valid: np.ndarray, dilate: int, median: int) -> np.ndarray:
    """The filter with no-data, in NumPy and loops: no-data is white in the background and left out of every fit."""
    water = (rgb.max(axis=2) <= 30) & valid
    red, green, blue = np.where((water | ~valid)[..., None], 255, rgb).astype(np.int64).transpose(2, 0, 1)
    grey = (red * 9798 + green * 19235 + blue * 3735 + (1 << 14)) >> 15  # OpenCV's integer weights
    reach, (rows, columns) = dilate // 2, grey.shape
    dilated = np.array(
        [
            [grey[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].max() for x in range(columns)]
            for y in range(rows)
        ]
    )
    difference = 255 - np.abs(grey - exact_median(dilated, median))
    seen = difference[valid]
    level = np.arange(256.0)
    level[level <= otsu(np.bincount(seen, minlength=256))] = 0
    occurring = np.unique(seen)
    level = stretch(level, occurring)
    level = stretch(np.minimum(level, 235), occurring)
    codes = np.where(level[difference] <= 204, 2, 3).astype(np.uint8)
    codes[water], codes[~valid] = 1, 255
    return codes


def stretch(level: np.ndarray, occurring: np.ndarray) -> np.ndarray:
    """Min-max stretch to 0..255 of the levels that occur, rounded half to even; 0 where they are all the same."""
    low, high = level[occurring].min(), level[occurring].max()
    return np.clip(np.rint((level - low) * (255 / (high - low))), 0, 255) if high > low else np.zeros(256)


def otsu(histogram: np.ndarray) -> int:
    """Otsu's threshold: the level with the largest between-class variance; the first of equals."""
    best, answer, total, all_sum = 0.0, 0, histogram.sum(), (histogram * np.arange(256)).sum()
    for level in range(256):
        below = histogram[: level + 1].sum()
        if 0 < below < total:
            sum_below = (histogram[: level + 1] * np.arange(level + 1)).sum()
            apart = sum_below / below - (all_sum - sum_below) / (total - below)
            variance = (below / total) * (1 - below / total) * apart**2
            if variance > best * (1 + 1e-12):
                best, answer = variance, level
    return answer
