"""An App object of the simulated PBX. Holds what is configured, and knows nothing of connections."""

from __future__ import annotations


class SimulatedApp:
    """An App object of the simulated PBX.

    ``epsignal`` False: the tick at the EpSignal API is missing, so EpSignal messages are not answered, or, with
    ``answer_unticked``, an Attach is answered with an error.
    """

    def __init__(self, name: str, password: str, *, epsignal: bool, answer_unticked: bool) -> None:
        self.name = name
        self.password = password
        self.epsignal = epsignal
        self.answer_unticked = answer_unticked

    def __repr__(self) -> str:
        return f"<SimulatedApp {self.name!r}>"
