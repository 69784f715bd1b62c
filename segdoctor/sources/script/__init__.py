"""Runs the user's script unchanged up to its training, and captures what it trains with."""

from segdoctor.sources.script.captured import Captured
from segdoctor.sources.script.launch import Ended, launch
from segdoctor.sources.script.program import Program, program_of

__all__ = ["Captured", "Ended", "Program", "launch", "program_of"]
