"""What fits this library into other programs.

The dispatchers make callbacks run where the program wants them: pass one as ``dispatcher=`` to :func:`epsignal_sync.connect`.
No toolkit is imported before one of its dispatchers is made.
"""

from ..manual_dispatcher import ManualDispatcher
from .asyncio_loop import AsyncioDispatcher
from .qt import QtDispatcher
from .tk import TkDispatcher

__all__ = ["AsyncioDispatcher", "ManualDispatcher", "QtDispatcher", "TkDispatcher"]
