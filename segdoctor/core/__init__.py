"""The nouns: findings, traces, facts, the catalogue, the engine. Runs without NumPy."""
