"""Getting credentials with a person, testing them, and writing them to `.env`.

`walk` is what all networks share; each network's module asks what only it needs to know.
"""

from pipeline.connecting.desk import Desk, Person
from pipeline.connecting.walk import WALKS, Target, connect, find, told

__all__ = ["WALKS", "Desk", "Person", "Target", "connect", "find", "told"]
