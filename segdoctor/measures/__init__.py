"""Pure arithmetic on arrays and plain values; TensorFlow is never imported here."""
