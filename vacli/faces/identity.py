"""Who is who: identities that last through short occlusions and across cuts.

Within a shot a person is where the box was a frame ago; after an occlusion of up to MEMORY_S, where it
was last seen and of the same look; otherwise, and always across a cut, of the same look. Looks tell people
apart under one light only: whoever comes back in other light is somebody new, and nobody takes over the
identity of somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vacli.faces.appearance import SAME_PERSON, STILL_POSSIBLE, Looks
from vacli.faces.detect import Detection, overlap

MEMORY_S = 1.0
SAME_PLACE = 0.2  # overlap of boxes
SAME_FACE = 0.4


@dataclass(eq=False)
class Person:
    """Somebody who was seen. face: where, in this shot and lately; None after that."""

    track: int
    face: Detection | None
    seen_s: float
    looks: Looks = field(default_factory=Looks)

    def likeness(self, found: Detection, look: np.ndarray) -> float:
        """How much speaks for `found` being this person, 0 where too little does."""
        alike = self.looks.likeness(look)
        near = self.face is not None and overlap(self.face.box, found.box[np.newaxis])[0] > SAME_PLACE
        return alike if alike > (STILL_POSSIBLE if near else SAME_PERSON) else 0.0


class People:
    """Everybody seen in one video."""

    def __init__(self) -> None:
        self.known: list[Person] = []

    def around(self, time_s: float) -> list[Person]:
        """Whoever has a place in this shot, seen within MEMORY_S."""
        for person in self.known:
            if person.face is not None and time_s - person.seen_s > MEMORY_S:
                person.face = None
        return [person for person in self.known if person.face is not None]

    def forget_places(self) -> None:
        """After a cut."""
        for person in self.known:
            person.face = None

    def see(self, person: Person, face: Detection, time_s: float) -> None:
        """Note where somebody is."""
        person.face, person.seen_s = face, time_s

    def recognise(
        self,
        found: Sequence[tuple[Detection, np.ndarray]],
        absent: Iterable[Person],
        time_s: float,
    ) -> list[Person]:
        """Persons for faces with looks: of the `absent` ones the most alike first, else new ones."""
        pairs = [
            (person.likeness(face, look), number, person)
            for person in absent
            for number, (face, look) in enumerate(found)
        ]
        named: dict[int, Person] = {}
        for likeness, number, person in sorted(pairs, key=lambda pair: -pair[0]):
            if likeness > 0 and number not in named and person not in named.values():
                named[number] = person
        for number, (face, look) in enumerate(found):
            if number not in named:
                named[number] = Person(len(self.known), face, time_s)
                self.known.append(named[number])
            named[number].looks.keep(look)
            self.see(named[number], face, time_s)
        return [named[number] for number in range(len(found))]


def without_repeats(found: Iterable[Detection], known: Sequence[Detection] = ()) -> list[Detection]:
    """Faces that are neither among the `known` ones nor repeated, the first of each."""
    kept: list[Detection] = []
    for face in found:
        others = [*known, *kept]
        if not others or overlap(face.box, np.stack([o.box for o in others])).max() <= SAME_FACE:
            kept.append(face)
    return kept
