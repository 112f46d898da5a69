"""Changed files for every reader: each is read, or refused in one sentence.

The whole run is ``python benchmarks/faults/fuzz.py``; here is a small part of it.
"""

from __future__ import annotations

import json
import random

import pytest

from faults.fuzz import fuzz
from faults.mutations import mutated_json, mutated_text
from faults.readers import READERS

_EACH = 12


@pytest.mark.slow
def test_no_reader_ends_in_another_way() -> None:
    endings = fuzz(_EACH * len(READERS), seed=7)

    assert len(endings) == _EACH * len(READERS)
    assert [ending for ending in endings if ending.is_fault] == []
    assert {"read", "refused"} == {ending.how for ending in endings}


def test_changes_repeat_and_differ() -> None:
    sound = {"model": {"vocab": {"a": 0}}, "sizes": [1, 2]}

    made = [mutated_json(sound, random.Random(at)) for at in range(60)]
    again = [mutated_json(sound, random.Random(at)) for at in range(60)]

    assert made == again
    assert len(set(made)) > 40
    assert json.dumps(sound).encode() not in made[:5]
    assert mutated_text(b"a,b\n1,2\n", random.Random(1)) == mutated_text(
        b"a,b\n1,2\n", random.Random(1)
    )
