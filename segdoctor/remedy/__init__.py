"""Writes what a trial has confirmed: a changed copy of the model file, changed masks, and the code
to change in the user's script. Nothing is overwritten."""

from segdoctor.remedy.mend import Mended, fix

__all__ = ["Mended", "fix"]
