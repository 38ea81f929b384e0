"""For Jupyter notebooks: cells may be run again, and what a callback prints stands below the cell that registered it.

    from epsignal_sync import notebook

    client = notebook.connect("pbx.example.com", app="phones", password="...")

Nothing of Jupyter is imported here: outside of a notebook all of this works as well, as far as it means anything there.
"""

from .clients import connect

__all__ = ["connect"]
