"""Mistakes that are the user's to mend: one line, no traceback, exit status 2."""

from __future__ import annotations


class UserError(ValueError):
    """One line that names the file, layer or argument, what was expected and what was received,
    and what to do."""
