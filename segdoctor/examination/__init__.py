"""The one examination behind every way in: source → Run → Trace → probes → trial → Report."""
