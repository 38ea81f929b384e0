"""Looking at a connection step by step, where the other side does what no PBX does."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from epsignal_sync import ConnectTimeout
from epsignal_sync.relay.endpoint import TLSSettings, parse_url
from epsignal_sync.relay.frames import OPCODE_PING
from epsignal_sync.relay.probing import Probe


class Chatterbox(socket.socket):
    """A socket on which something has always come already, but never a pong."""

    def recv(self, *args: Any) -> bytes:
        return bytes([0x80 | OPCODE_PING, 0]) * 1000

    def send(self, data: Any, *args: Any) -> int:
        return len(data)


@pytest.mark.timeout(60)
def test_server_that_never_stops_talking() -> None:
    probe = Probe(parse_url("ws://127.0.0.1:9/x"), TLSSettings(), 0.2)
    probe._opening.sock = Chatterbox()
    try:
        with pytest.raises(ConnectTimeout, match=r"did not answer a ping within 0\.2 s"):
            probe.round_trip()
    finally:
        probe.close()
