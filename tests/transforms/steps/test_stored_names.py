"""Names travel as a place, and are the same there."""

import os
import pickle

from transforms.steps.stored_names import StoredNames


def test_names_travel_as_a_place_however_many_they_are(output):
    names = [f"shard-{n:05d}" for n in range(5000)] + [os.fsdecode(b"caf\xe9")]
    few, many = StoredNames.store(output, names[:1]), StoredNames.store(output, names)

    data = pickle.dumps(many)

    assert len(data) == len(pickle.dumps(few))
    there = pickle.loads(data)
    assert there == frozenset(names)
    assert names[7] in there
    assert pickle.dumps(there) == data


def test_other_names_have_another_place(output):
    one, other = StoredNames.store(output, "ab"), StoredNames.store(output, "ac")
    assert pickle.loads(pickle.dumps(one)) == {"a", "b"}
    assert pickle.loads(pickle.dumps(other)) == {"a", "c"}
    assert StoredNames.store(output, "ba")._path == one._path


def test_no_names(output):
    assert pickle.loads(pickle.dumps(StoredNames.store(output, ()))) == frozenset()


def test_what_an_operator_makes_is_any_set(output):
    union = StoredNames.store(output, "ab") | {"c"}
    assert type(union) is frozenset
    assert pickle.loads(pickle.dumps(union)) == {"a", "b", "c"}
