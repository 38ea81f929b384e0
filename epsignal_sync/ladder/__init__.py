"""A call as a sequence diagram: PBX, app and phone, an arrow for each signal, and what the app did with it."""

from .making import make_ladder as make_ladder
from .model import Ladder as Ladder
from .model import Note as Note
from .model import Step as Step
