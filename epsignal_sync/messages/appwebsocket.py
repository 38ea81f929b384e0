"""The messages of the AppWebsocket connection itself (protocol page, section 1). Knows nothing of EpSignal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import field, frozen

from .record import ADDITION, HEX, SECRET, JSONObject, Record, source, wire


@frozen(kw_only=True, repr=False, eq=False)
class Message(Record):
    """Base class of everything that travels on the websocket: one JSON object with ``mt``."""

    discriminator: ClassVar[str] = "mt"

    api: str | None = None
    """Which API the message belongs to; absent for the connection's own messages."""
    src: str | None = None
    """What the requester chose; the peer repeats it in the response and in every indication of that request."""


@frozen(kw_only=True, repr=False, eq=False)
class UnknownMessage(Message):
    """A message of another API, or of a type that this version does not know."""

    mt: str | None = None
    """The message type as it was received."""

    @property
    def data(self) -> JSONObject:
        """A copy of the whole JSON object."""
        return dict(source(self))


@frozen(kw_only=True, repr=False, eq=False)
class AppChallenge(Message):
    """The app asks for the challenge that its login digest has to answer."""

    wire_name: ClassVar[str] = "AppChallenge"

    app_obj: str | None = field(default=None, metadata=wire("appObj", **ADDITION))
    """Name of the App object."""
    user: str | None = field(default=None, metadata=ADDITION)
    """Name of the user."""


@frozen(kw_only=True, repr=False, eq=False)
class AppChallengeResult(Message):
    """The PBX's challenge."""

    wire_name: ClassVar[str] = "AppChallengeResult"

    challenge: str | None = None
    """Up to 16 characters."""
    sys_client: Any = field(default=None, metadata=wire("sysClient", **ADDITION))
    """Not documented."""


@frozen(kw_only=True, repr=False, eq=False)
class AppLogin(Message):
    """The login: who the app is, and the digest that proves it."""

    wire_name: ClassVar[str] = "AppLogin"

    app: str | None = None
    """Name of the App object; empty for a login as a user."""
    domain: str | None = None
    """Domain of the PBX, or empty."""
    sip: str | None = None
    """Name of the user; empty for a login to an App object."""
    guid: str | None = field(default=None, metadata=HEX)
    """GUID of the user, hex, or empty."""
    dn: str | None = None
    """Display name of the user, or empty."""
    digest: str | None = field(default=None, metadata={**HEX, **SECRET})
    """Lower-case hex SHA-256 over the other fields, the challenge and the password."""
    pbx_obj: str | None = field(default=None, metadata=wire("pbxObj"))
    """Name of the PBX object; not part of the digest."""
    info: Mapping[str, Any] | None = None
    """What the app wants to tell of itself; part of the digest where present."""


@frozen(kw_only=True, repr=False, eq=False)
class AppLoginResult(Message):
    """The PBX's answer to the login."""

    wire_name: ClassVar[str] = "AppLoginResult"

    ok: bool | None = None
    """True: logged in. Anything else: refused."""
    error: Any = None
    """Why the login was refused; a number or a text."""
    error_text: str | None = field(default=None, metadata=wire("errorText"))
    """Why the login was refused, in words."""
    app: str | None = None
    """Name of the App object."""
    domain: str | None = None
    """Domain of the PBX."""


@frozen(kw_only=True, repr=False, eq=False)
class PbxInfo(Message):
    """What the PBX says of itself; may come at any time."""

    wire_name: ClassVar[str] = "PbxInfo"

    domain: str | None = None
    """Domain of the PBX."""
    pbx: str | None = None
    """Name of the PBX."""
    pbx_dns: str | None = field(default=None, metadata=wire("pbxDns"))
    """DNS name of the PBX."""
    apis: tuple[str, ...] | None = None
    """The APIs that the App object was granted."""
    version: str | None = None
    """Firmware version, for example ``14r1``."""
    build: str | None = None
    """Firmware build number."""


@frozen(kw_only=True, repr=False, eq=False)
class CheckBuild(Message):
    """Asks whether a page is still the current build."""

    wire_name: ClassVar[str] = "CheckBuild"

    url: str | None = None
    """The page's address."""


@frozen(kw_only=True, repr=False, eq=False)
class CheckBuildResult(Message):
    """The answer to CheckBuild."""

    wire_name: ClassVar[str] = "CheckBuildResult"

    url: str | None = None
    """The address of the current build, where it is another one."""


@frozen(kw_only=True, repr=False, eq=False)
class AppInfo(Message):
    """The PBX asks the app what it can do."""

    wire_name: ClassVar[str] = "AppInfo"

    app: str | None = None
    """Name of the app."""


@frozen(kw_only=True, repr=False, eq=False)
class AppInfoResult(Message):
    """The answer to AppInfo."""

    wire_name: ClassVar[str] = "AppInfoResult"

    app: str | None = None
    """Name of the app."""
    info: Mapping[str, Any] | None = None
    """What the app can do."""
    service_info: Mapping[str, Any] | None = field(default=None, metadata=wire("serviceInfo"))
    """What the app's service can do."""
    deviceapp: str | None = None
    """Name of the app for devices."""


@frozen(kw_only=True, repr=False, eq=False)
class KeepAlive(Message):
    """Sent after a time without traffic; nothing answers it."""

    wire_name: ClassVar[str] = "KeepAlive"
