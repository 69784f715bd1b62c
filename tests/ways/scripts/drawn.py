"""Drawn images and masks that the scripts train on; 255 is void where asked for."""

import numpy as np

SIDE = 16


def draw(count=8, *, void=False, seed=0):
    rng = np.random.default_rng(seed)
    y = np.zeros((count, SIDE, SIDE), np.int32)
    for mask in y:
        for label in (1, 2):
            top, left = rng.integers(0, SIDE - 7, 2)
            mask[top : top + 6, left : left + 6] = label
    colours = np.array([[-0.8, -0.8, -0.8], [0.9, -0.6, -0.7], [-0.7, 0.8, -0.5]], np.float32)
    x = colours[y] + rng.normal(0, 0.05, (*y.shape, 3)).astype(np.float32)
    if void:
        y[:, :2] = 255
    return x, y
