"""A data set folder: its layout, its files as facts, and a batch made of it."""

from segdoctor.sources.voc.batch import make_batch
from segdoctor.sources.voc.layout import DataFolderError, find_layout
from segdoctor.sources.voc.parts import Layout
from segdoctor.sources.voc.scan import scan_folder
from segdoctor.sources.voc.small_copies import small_copies

__all__ = ["DataFolderError", "Layout", "find_layout", "make_batch", "scan_folder", "small_copies"]
