"""What fits this library into other programs.

The dispatchers make callbacks run where the program wants them: pass one as ``dispatcher=`` to :func:`epsignal_sync.connect`.
No toolkit is imported before one of its dispatchers is made.
"""

from ..dispatcher import ManualDispatcher
from .qt import QtDispatcher

__all__ = ["ManualDispatcher", "QtDispatcher"]
