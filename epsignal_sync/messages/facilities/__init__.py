"""Supplementary services: the objects of a signal's ``fty``. Knows nothing of the signals that carry them."""

from .base import Facility, UnknownFacility
from .other import NameIdentification

__all__ = ["Facility", "NameIdentification", "UnknownFacility"]
