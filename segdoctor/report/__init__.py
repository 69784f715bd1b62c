"""Draws a report: terminal, JSON, HTML, PNG. Nothing is computed anew."""
