"""A PBX that plays a recording, for trying out what an app does with it.

    from epsignal_sync.replay import ReplayPBX

    with ReplayPBX("calls.jsonl", speed=0) as pbx:
        ...                                  # connect the application to pbx.url, and attach it to pbx.devices
        pbx.wait_over(timeout=30)
        assert not pbx.differences()         # it did what it did when that was recorded

It needs the ``websockets`` package, as the simulator: ``pip install epsignal-sync[simulator]``. It knows nothing of the client.
"""

from __future__ import annotations

from .pbx import ReplayPBX

__all__ = ["ReplayPBX"]
