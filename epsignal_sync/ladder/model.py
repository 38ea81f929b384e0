"""What a ladder consists of. Plain data; how it is made and how it is shown stands in modules of their own.

All its texts are harmless (no control characters, nothing that turns or covers other text) and short. They are no markup yet:
each rendering escapes them in its own way.
"""

from __future__ import annotations

from attrs import field, frozen

PBX, APP, PHONE = "PBX", "app", "phone"
COLUMNS = (PBX, APP, PHONE)


@frozen(kw_only=True)
class Step:
    """One arrow: a signal, or what went on instead of one."""

    at: float
    """When it was received, or put on its way, in Unix seconds."""
    since: float
    """The same in seconds since the first signal that is known."""
    name: str
    """The type of the signal, such as "setup"."""
    start: str
    """Where it began: "PBX", "app" or "phone"."""
    end: str
    """How far it went: "PBX", "app" or "phone"."""
    verdict: str
    """What became of it: "forwarded", "changed", "dropped", "bypassed", "own" (said by the app, or to it alone), or "" where it was left
    to the app to forward it; anything else is of another version."""
    remarks: tuple[str, ...] = ()
    """What the app did with it, such as "changed: cg.num 22 -> 022"."""
    details: tuple[str, ...] = ()
    """What it says, in short; a media offer is one of them."""
    media: tuple[str, ...] = field(default=(), repr=False)
    """The media offer or answer at length, line by line."""

    @property
    def through(self) -> bool:
        """Whether it went through the app to the other end."""
        return APP not in (self.start, self.end)

    @property
    def by_app(self) -> bool:
        """Whether the app itself said it."""
        return self.start == APP


@frozen
class Note:
    """Something that is said between two arrows."""

    text: str


@frozen(kw_only=True)
class Ladder:
    """The sequence diagram of a call. It does not change; another one is made with ``call.ladder()``.

    ``str()`` is the text for a terminal; a notebook shows the picture. Every method may be called in any thread and does
    not block.
    """

    title: str
    """Who with whom, and which call of which phone: by its id."""
    facts: str
    """When it was, how long, and how it ended."""
    rows: tuple[Step | Note, ...] = field(repr=False)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The arrows alone."""
        return tuple(row for row in self.rows if isinstance(row, Step))

    def text(self, width: int | None = None, *, ascii_only: bool = False) -> str:
        """Return it as lines for a terminal of ``width`` columns (None: the one that it runs in, 100 where there is none).

        ``ascii_only`` draws with ``|-->`` instead of box characters. Under 72 columns it is a list instead of a picture.
        """
        from .text import text  # the ways to show a ladder import this module

        return text(self, width, ascii_only=ascii_only)

    def mermaid(self) -> str:
        """Return it as a Mermaid ``sequenceDiagram``, for a wiki: there it stands between lines of three back quotes."""
        from .mermaid import mermaid

        return mermaid(self)

    def svg(self) -> str:
        """Return it as an SVG file: without scripts and without other files, for light and for dark ground."""
        from .svg import svg

        return svg([self])

    def __str__(self) -> str:
        return self.text()

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        from .svg import inline

        return inline(self)
