"""A whole call between two phones of the simulated PBX. Imports no pytest: programs that tests start use it, too."""

from __future__ import annotations

from epsignal_sync.simulator import SimulatedPhone
from epsignal_sync.simulator.call import WAIT_TIMEOUT


def call_through(caller: SimulatedPhone, called: SimulatedPhone, number: str = "23", *, timeout: float = WAIT_TIMEOUT) -> None:
    """Make a call, from dialing to its end; each step only comes when all before was forwarded, within ``timeout`` seconds."""
    call = caller.call(number)
    called.wait("alert", timeout=timeout)
    called.answer()
    call.wait("connected", timeout=timeout)
    call.hangup()
    called.wait("null", timeout=timeout)
