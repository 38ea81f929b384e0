"""A simulated innovaphone PBX with phones, for trying out and testing applications without a real one.

    from epsignal_sync.simulator import SimulatedPBX

    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob", kind="sip")
        ...                                  # connect the application to pbx.url
        call = alice.call("23")
        bob.wait("alert", timeout=5)
        bob.answer()
        call.wait("connected", timeout=5)

It speaks the protocol of the public SDK documentation and shares no code with the client. It needs the
``websockets`` package: ``pip install epsignal-sync[simulator]``.

How an application copes when things go wrong can be tried too. The PBX restarts (:meth:`SimulatedPBX.restart`), cuts
connections (:meth:`SimulatedPBX.drop_connections`), phones lose their registration (:meth:`SimulatedPhone.reregister`), and
what the PBX does where the documentation leaves it open is up to the attributes in :class:`Behaviour`. :class:`Faults` is
the network on the way to it, or to a real PBX:

    from epsignal_sync.simulator import Faults

    with Faults(pbx.url) as faults:          # a wss:// URL of any PBX
        ...                                  # connect the application to faults.url
        faults.stall()                       # nothing moves, and nothing is closed
        faults.resume()
        faults.drop()                        # the connection is reset

For tests with pytest there are ready fixtures: see :mod:`epsignal_sync.integrations.pytest_plugin`.
"""

from __future__ import annotations

from .app import SimulatedApp
from .behaviour import Behaviour
from .call import SimulatedCall
from .faults import Faults
from .log import LogEntry, MessageLog
from .pbx import SimulatedPBX
from .phone import SimulatedPhone

__all__ = ["Behaviour", "Faults", "LogEntry", "MessageLog", "SimulatedApp", "SimulatedCall", "SimulatedPBX", "SimulatedPhone"]
