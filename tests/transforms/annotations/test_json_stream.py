"""JSON read piece by piece, with what programs write and ijson does not read."""

import io
import json
import math
import random
import subprocess
import sys
import textwrap

import pytest

from transforms.annotations.json_stream import JsonFile, OddJsonError


class Crumbs(io.BytesIO):
    """A file that gives a few bytes at a time."""

    def __init__(self, data, seed):
        super().__init__(data)
        self._draw = random.Random(seed)

    def read(self, size=-1):
        return super().read(min(size, self._draw.randint(1, 7)) if size else 0)


def entries(data, odd=True):
    return list(JsonFile(io.BytesIO(data), odd).entries())


DOCUMENT = {
    "x": [
        {"s": 'q"\\u"NaN \xe9\U0001f600', "n": [1, -2.5e-7, 1e300, None, True]},
        "\\",
        '"',
        [[], {}, {"deep": [{"er": "\\\\ud800"}]}],
    ],
    "no list": {"x": [1]},
    "y": [],
}


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_any_size_are_the_whole(seed):
    data = json.dumps(DOCUMENT, ensure_ascii=seed % 2 == 0).encode()
    file = JsonFile(Crumbs(data, seed), odd=seed % 3 == 0)
    assert list(file.entries()) == [("x", entry) for entry in DOCUMENT["x"]]
    assert file.lists == {"x", "y"}


def test_what_python_writes_and_json_has_not_is_a_text():
    odd = [math.nan, -math.inf, 10**25, "NaN", 1.5, 2**63 - 1, -(2**40)]
    data = json.dumps({"a": odd}).encode() + b" "
    found = [value for _, value in entries(data)]
    assert found[:3] == ["NaN", "-Infinity", "1" + "0" * 25]
    assert found[3:5] == ["NaN", 1.5]
    assert int(found[5]) == 2**63 - 1
    assert found[6] == -(2**40)
    found = entries(b'{"a": [1e999, -1.5e-4000]}')
    assert [value for _, value in found] == ["1e999", "-1.5e-4000"]
    with pytest.raises(OddJsonError):
        entries(data, odd=False)


@pytest.mark.parametrize("odd", [False, True])
def test_half_a_character_is_never_a_question_mark(odd):
    data = b'{"a": ["\\ud800 x", "\\ud83d\\ude00", "\\\\ud800", "\\\\\\ud800"]}'
    found = [value for _, value in entries(data, odd)]
    assert found == ["\uffff x", "\U0001f600", "\\ud800", "\\\uffff"]


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b'{"a": [1', b'{"a": ["x', b'{"a": [1]} x', b'{"a": [01]}', b"[" * 99],
)
def test_what_is_no_json_is_refused(data):
    with pytest.raises(OddJsonError, match="not JSON, or only a part"):
        entries(data)


def test_what_is_nested_without_end_takes_no_memory():
    with pytest.raises(ValueError, match="nested more than 500"):
        entries(b'{"a": ' + b"[" * 100_000)


def test_another_encoding_is_named_with_its_line():
    with pytest.raises(ValueError, match="UTF-16"):
        entries('{"a": []}'.encode("utf-16"))
    data = b'{"a": [\n"' + b"x" * 3_000_000 + b'",\r\n"\xe9"]}'
    with pytest.raises(ValueError, match="line 3: the byte 0xe9"):
        entries(data)
    assert entries(b'\xef\xbb\xbf{"a": [1]}') == [("a", 1)]


_READER = """
    import resource, sys
    from transforms.annotations.coco import read_coco
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    images = read_coco(sys.argv[1])
    images.fit(f"train/{n:012d}.jpg" for n in range(0, 1000, 2))
    assert images.find("train/000000000004.jpg").annotations == 7
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, images.named)
"""


@pytest.mark.slow
def test_a_file_of_200_mb_takes_little_memory(tmp_path):
    path = tmp_path / "instances.json"
    outline = [[round(n * 1.37 % 400, 2) for n in range(60)] for _ in range(5)]
    size, number = 0, 0
    with path.open("w") as file:
        size += file.write('{"categories": [{"id": 1, "name": "a"}], "annotations": [')
        while size < 190_000_000:
            about = {
                "id": number,
                "image_id": number // 7,
                "category_id": 1,
                "bbox": [1, 2, 3.5, 4],
                "segmentation": outline,
            }
            size += file.write(("," if number else "") + json.dumps(about))
            number += 1
        file.write('], "images": [')
        count = number // 7 + 1
        for n in range(count):
            about = {"id": n, "file_name": f"{n:012d}.jpg"}
            file.write(("," if n else "") + json.dumps(about))
        file.write("]}")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_READER), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    kilobytes, named = map(int, done.stdout.split())
    assert named == count
    # `json.load` takes five times the file, a gigabyte.
    assert kilobytes < 60_000
