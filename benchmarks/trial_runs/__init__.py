"""Sick and healthy runs for the benchmark of the trial."""
