"""What a folder, a pattern or a name of shards means."""

import pytest

from transforms.inputs.shards import expand_braces, find_shards


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a-{08..10}.tar", ["a-08.tar", "a-09.tar", "a-10.tar"]),
        ("{8..10}", ["8", "9", "10"]),
        ("{a,b}/{0..1}", ["a/0", "a/1", "b/0", "b/1"]),
        ("{x}.tar", ["{x}.tar"]),
        ("plain", ["plain"]),
    ],
)
def test_braces_are_those_of_a_shell(pattern, names):
    assert list(expand_braces(pattern)) == names


def test_a_slip_of_the_hand_is_refused():
    with pytest.raises(ValueError, match="stands for 10000000000 shards"):
        list(expand_braces("{0..9999999999}"))


def test_shards_of_a_folder_and_of_patterns(tmp_path):
    for name in ("b/1.parquet", "a/1.parquet", "a/0.parquet", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")

    def names(pattern):
        return [name for name, _ in find_shards(str(tmp_path / pattern), (".parquet",))]

    assert names(".") == ["a/0.parquet", "a/1.parquet", "b/1.parquet"]
    assert names("a") == ["0.parquet", "1.parquet"]
    assert names("a/*.parquet") == ["0.parquet", "1.parquet"]
    assert names("a/{0..1}.parquet") == ["0.parquet", "1.parquet"]
    # Two of one name are told apart by their folders.
    assert names("{a,b}/1.parquet") == ["a/1.parquet", "b/1.parquet"]
    with pytest.raises(FileNotFoundError):
        names("a/{1..2}.parquet")
    with pytest.raises(ValueError, match=r"notes\.txt is no shard"):
        names("a/notes.txt")
