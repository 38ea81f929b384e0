"""Draws the states of a call and of the login from the tables in the source, by trying what each row of them does.

``python -m docs.building.states`` writes the files in docs/pictures/ that show them where nothing is built, as on GitHub.
Where a table says something that has no place in the picture, this raises ValueError: then the picture has to be thought over.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from epsignal_sync.messages import CallState
from epsignal_sync.protocol.call_facilities import FACILITY_RULES
from epsignal_sync.protocol.call_record import CallRecord
from epsignal_sync.protocol.call_rules import FAILED_PROGRESS, ORDER, OTHERS, RULES, Rule, apply
from epsignal_sync.protocol.session import Credentials, LoginState, Session

from .drawing import Drawing, box_height

PICTURES = Path(__file__).parents[1] / "pictures"
Moves = dict[tuple[str, str], set[tuple[str, bool]]]
"""From a state to another one: the messages that do it, each with whether it goes towards the device."""


# ------------------------------------------------------------ a call


def call_moves() -> Moves:
    """Try every row of the tables in every state."""
    found: Moves = {}
    tries: list[tuple[str, bool, Rule, dict[str, Any]]] = []
    for (kind, to_device), rule in RULES.items():
        name = "progress with a cause" if kind == FAILED_PROGRESS else str(kind)
        tries.append((name, to_device, rule, {}))
    for facility, to_device in FACILITY_RULES:
        tries.append((facility, to_device, OTHERS, {"fty": [{"type": facility}]}))
    for before in ORDER:
        for name, to_device, rule, sig in tries:
            record = CallRecord(1, 0.0)
            record.state = before
            apply(record, rule, to_device, sig, 0.0, "")
            # The table leaves the end to the list of calls, which takes the call away.
            after = CallState.NULL if rule.state is CallState.NULL else record.state
            if after != before:
                found.setdefault((str(before), str(after)), set()).add((name, to_device))
    return found


def _told(messages: set[tuple[str, bool]]) -> list[str]:
    """Return messages in words, one for each line; one direction for all where it is the same."""
    by_way: dict[str, list[str]] = {}
    for name in sorted({name for name, _ in messages}):
        ways = {to_device for one, to_device in messages if one == name}
        way = "either direction" if len(ways) == 2 else "towards the device" if ways == {True} else "from the device"
        by_way.setdefault(way, []).append(name)
    return [line for way, names in sorted(by_way.items()) for line in (*names, f"({way})")]


def _split(moves: Moves) -> tuple[dict[str, set[tuple[str, bool]]], Moves]:
    """Part what brings a call to a state from anywhere above it from what leads from one state of a row to another."""
    forward: dict[str, set[tuple[str, bool]]] = {}
    beside: Moves = {}
    for target in ORDER:
        messages = set().union(*(found for (_, after), found in moves.items() if after == target))
        for message in messages:
            sources = {before for (before, after), found in moves.items() if after == target and message in found}
            above = {one for one in ORDER if one != target and (ORDER[one] < ORDER[target] or target == CallState.NULL)}
            if above <= sources:
                forward.setdefault(target, set()).add(message)
                sources -= above
            for source in sources:
                if ORDER[source] != ORDER[target]:
                    raise ValueError(f"no place in the picture for {message[0]}, which brings a call from {source} to {target}")
                beside.setdefault((source, target), set()).add(message)
    return forward, beside


WIDTH, BOX, GAP = 560, 210, 34


def call_picture() -> Drawing:
    """Draw the states of a call: each row is further on than the one above it."""
    forward, beside = _split(call_moves())
    rows: dict[int, list[str]] = {}
    for state, place in ORDER.items():
        if place:
            rows.setdefault(place, []).append(str(state))
    lines = {state: _told(forward.get(state, set())) for state in ORDER}
    heights = {place: max(box_height(lines[state]) for state in states) for place, states in rows.items()}
    end_height = box_height(lines[CallState.NULL])
    drawing = Drawing("The states of a call", WIDTH, sum(heights.values()) + GAP * len(heights) + end_height + 4)
    y = 2
    for place, states in sorted(rows.items()):
        for number, state in enumerate(states):
            x = _left(number, len(states))
            drawing.box(x, y, BOX, state, lines[state], height=heights[place])
        _draw_beside(drawing, states, beside, y + heights[place] / 2 - 6)
        y += heights[place] + GAP
        below = rows.get(place + 1, [CallState.NULL])
        aims = [_left(number, len(below)) + BOX / 2 for number, state in enumerate(below) if state in forward]
        drawing.fan([_left(number, len(states)) + BOX / 2 for number in range(len(states))], y - GAP + 2, aims, y - 3)
    drawing.box((WIDTH - BOX) / 2, y, BOX, f"{CallState.NULL}: ended", lines[CallState.NULL], end=True)
    return drawing


def _left(number: int, count: int) -> float:
    return (WIDTH - BOX) / 2 if count == 1 else 2 + number * (WIDTH - BOX - 4) / (count - 1)


def _draw_beside(drawing: Drawing, states: list[str], beside: Moves, y: float) -> None:
    """Draw the arrows inside a row of two states."""
    for (source, target), messages in sorted(beside.items()):
        if source in states:
            left_to_right = states.index(source) < states.index(target)
            ends = (2 + BOX + 3, WIDTH - BOX - 5)
            start, end = ends if left_to_right else ends[::-1]
            height = y if left_to_right else y + 26
            drawing.arrow((start, height), (end, height))
            drawing.text(WIDTH / 2, height - 6, ", ".join(sorted({name for name, _ in messages})))


# ------------------------------------------------------------ the login

ANSWERS: Mapping[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "AppChallengeResult": (("AppChallengeResult", {"challenge": "0123"}), ("AppChallengeResult without a text", {})),
    "AppLoginResult": (("AppLoginResult, ok true", {"ok": True}), ("AppLoginResult without it", {})),
}
"""What a PBX may answer: how the picture calls it, and the fields."""

LoginMoves = dict[tuple[LoginState, str], tuple[LoginState, list[str]]]


def login_moves() -> LoginMoves:
    """Try every row of the table: in which state which answer leads where, and what is sent then."""
    found: LoginMoves = {}
    for state, kind in Session._STEPS:
        if kind not in ANSWERS:
            raise ValueError(f"no answers to try for {kind}: add them to ANSWERS")
        for name, fields in ANSWERS[kind]:
            session = Session(Credentials(app="phones", password="secret"))
            session.state = state
            sent = session.receive({"mt": kind, **fields})
            found[state, name] = (session.state, [text.decode().split('"')[3] for text in sent])
    return found


def login_picture() -> Drawing:
    """Draw the login: what the PBX says leads down, and to the right where it is the end."""
    moves = login_moves()
    order = [LoginState.CHALLENGE, LoginState.LOGIN, LoginState.READY]
    step, left, right, width = 104, 2, 348, 270
    drawing = Drawing("The states of the login", right + 212, step * 2 + 34)
    for number, state in enumerate(order):
        drawing.box(left, 2 + step * number, width, state.value, end=state is LoginState.READY)
    drawing.box(right, 2 + step * 2, 208, LoginState.REFUSED.value, end=True)
    for (before, name), (after, sent) in moves.items():
        top = 2 + step * order.index(before)
        if after is LoginState.REFUSED:
            x = right + 140 - 40 * order.index(before)
            drawing.arrow((left + width + 3, top + 15), (x, top + 15), (x, 2 + step * 2 - 3))
            drawing.text(left + width + 8, top + 9, name, anchor="start")
        elif order.index(after) == order.index(before) + 1:
            drawing.arrow((left + 20, top + 33), (left + 20, top + step - 3))
            drawing.text(left + 32, top + 58, name, anchor="start")
            if sent:
                drawing.text(left + 32, top + 58 + 18, f"sends {', '.join(sent)}", anchor="start")
        else:
            raise ValueError(f"no place in the picture for {name}, which leads from {before} to {after}")
    return drawing


PICTURE_OF = {"call_states.svg": call_picture, "login_states.svg": login_picture}

if __name__ == "__main__":
    for name, draw in PICTURE_OF.items():
        (PICTURES / name).write_text(draw().svg(alone=True), encoding="utf-8")
