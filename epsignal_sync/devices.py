"""The devices of a client: which there are, on which connection, and waiting until each is attached.

What is received for them is taken in :mod:`.intake`.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

from .connection import no_thread
from .deadline import Deadline
from .device import Device
from .errors import ConnectError, EpSignalError, LoginError, ReplyTimeout, UsageError
from .options import check_texts
from .protocol.session import Attachment
from .replies import Reply

if TYPE_CHECKING:
    from .client import Client
    from .connection import Connection


class Devices:
    """The devices that a client is, or wants to be, attached to. Any thread."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._by_hw: dict[str, Device] = {}
        self._source_numbers = itertools.count(1)
        # Re-entrant: a signal handler may call attach() in the middle of one.
        self._devices_lock = threading.RLock()

    def request(self, hw: str, forward: bool) -> tuple[Device, Reply]:
        """Return the device of a hardware id, and what its answer settles; where it is a new one, have its Attach sent. Does not wait."""
        if not isinstance(hw, str) or not hw:
            raise UsageError(f"attach() takes a hardware id as text, for example '0090334f1a2b', not {hw!r}")
        check_texts(hw=hw)
        client = self._client
        client._process.check()
        if not client._connections:
            raise UsageError("attach() needs a connection: call connect() first")
        is_started = True
        with self._devices_lock:
            device = self._by_hw.get(hw)
            if device is None:
                connection, is_started = self._connection_for_device()
                device = Device(client, connection, Attachment(f"{hw}-{next(self._source_numbers)}", hw, forward))
                answer = device._answer
                self._send_attach(device)
                self._by_hw[hw] = device
            else:
                answer = device._answer  # before the check: a loss after it fails this one
        if not is_started:
            self._start(device)
        device._connection.link.inbox.check()
        if device._attachment.forward != forward:
            raise UsageError(f"{hw} is attached with forward={not forward} already: a device has one setting for all")
        return device, answer

    def wait(self, device: Device, answer: Reply, deadline: Deadline) -> Device:
        """Block until the PBX has answered the Attach of a device, and return the device. Raises what attach() raises."""
        connection = device._connection
        timed_out = (
            f"the PBX did not answer the Attach for {device.hw} within {deadline.timeout} s: check that EpSignal is ticked under "
            '"Grant access to APIs" of the App object, and that hw is spelled exactly as the device registers'
        )
        try:
            connection.replies.wait(
                connection.intake.up, deadline, f"the connection for {device.hw} was not there within {deadline.timeout} s"
            )
            connection.replies.wait(answer, deadline, timed_out)
        except ReplyTimeout as error:
            if isinstance(error, ConnectError):
                self.drop(device._connection)
            else:
                device._given_up = True
            raise
        except (ConnectError, LoginError):
            self.drop(device._connection)
            raise
        return device

    def forget(self, device: Device) -> None:
        """Forget a device that the PBX has refused."""
        with self._devices_lock:
            if self._by_hw.get(device.hw) is device:
                del self._by_hw[device.hw]

    @staticmethod
    def _send_attach(device: Device) -> None:
        """Have the Attach of a new device sent. Where there is no connection now, the device is not known afterwards."""
        intake, inbox = device._connection.intake, device._connection.link.inbox
        inbox.check()
        intake.add(device)  # first: the answer may be quick
        try:
            inbox.attach(device._attachment)
        except EpSignalError:
            intake.remove(device)  # else it would count as asked for, and no Attach would ever be sent
            raise

    def _connection_for_device(self) -> tuple[Connection, bool]:
        """Return the connection for a new device, and whether it is started already."""
        client = self._client
        if not client._per_device:
            return client._connections[0], True
        for connection in client._connections:
            if not connection.intake.devices:
                return connection, True
        return client._add_connection(), False

    def _start(self, device: Device) -> None:
        try:
            device._connection.link.start()
        except RuntimeError as error:
            device._connection.link.abandon()
            self.drop(device._connection)
            raise no_thread(error) from error

    def drop(self, connection: Connection) -> None:
        """Forget a connection that never came up, and the device that it was for. Any thread."""
        if self._client._per_device and not connection.intake.was_up:
            for device in connection.intake.devices:
                self.forget(device)
            self._client._drop_connection(connection)
