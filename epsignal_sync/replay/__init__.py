"""The side of the PBX and the phones in a recording, played to an app; ``epsignal_sync.reenactment`` plays the app's side.

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
