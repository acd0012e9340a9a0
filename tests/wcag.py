"""Contrast by the Web Content Accessibility Guidelines 2.2: 1.4.3 asks 4.5 of text, 1.4.11 asks 3 of graphics."""

import numpy as np


def luminance(rgb):
    """Return relative luminance of colors with red, green and blue, from 0 to 1, on the last axis."""
    rgb = np.asarray(rgb, dtype=float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """Return the contrast of two luminances, from 1 to 21."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
