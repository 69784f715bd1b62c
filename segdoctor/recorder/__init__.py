"""From a live run to what was measured of it; TensorFlow is imported inside the functions."""
