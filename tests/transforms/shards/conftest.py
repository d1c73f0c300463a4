"""A manifest of pictures that wait in the journal, as `stylize` leaves it."""

import hashlib

import pytest

from transforms.storage.folder import OutputFolder
from transforms.stylize.manifest import MANIFEST_TABLE


class Manifest:
    """Writes the rows of pictures, in two parts, and the blocks that they are in."""

    def __init__(self, root):
        self.output = OutputFolder(str(root))
        self.rows = {}

    def add(self, key, data, split="train", style="s"):
        """Add a picture, or put another one in its place; None for one that failed."""
        path = f"images/{key}/{style}.png"
        block = f"{MANIFEST_TABLE.journal}/{key}-{style}.pictures"
        digest = hashlib.sha256(data or b"").hexdigest()
        if data is not None:
            self.output.write(block, b"before" + data)
        self.rows[path] = {
            "cell_id": hashlib.sha256(path.encode() + (data or b"")).hexdigest()[:16],
            "content_id": f"{key}-{'0' * 12}",
            "content_key": key,
            "styles": [{"id": style, "key": f"{style}.png", "weight": 1.0}],
            "alpha": 1.0,
            "original_width": 48,
            "original_height": 32,
            "width": 48,
            "height": 32,
            "path": path,
            "bytes": None if data is None else len(data),
            "sha256": None if data is None else digest,
            "status": "failed" if data is None else "done",
            "shard": None if data is None else block,
            "offset": None if data is None else len(b"before"),
            "annotation": {
                "label": "dog",
                "label_index": 1,
                "captions": ["a dog"],
                "coco_id": 5,
                "split": split,
                "license": "BY",
                "objects": [
                    {
                        "id": 9,
                        "category": "face",
                        "category_id": 3,
                        "box": [12.0, 8.0, 24.0, 16.0],
                        "area": 384.0,
                        "crowd": False,
                        "polygons": [],
                        "mask": "",
                        "keypoints": [],
                        "more": "",
                        "note": "",
                    }
                ],
            },
        }
        self.write()

    def write(self):
        """Write the parts."""
        found = {row["path"]: row for row in self.read()}
        for path, row in self.rows.items():
            if path in found and found[path]["cell_id"] == row["cell_id"]:
                self.rows[path] = found[path]
        for part in range(2):
            rows = [r for r in self.rows.values() if _part(r) == part]
            rows.sort(key=lambda row: (row["content_key"], row["path"]))
            MANIFEST_TABLE.write(self.output, MANIFEST_TABLE.part_name(part, 2), rows)

    def read(self):
        """Return the rows as they stand."""
        return list(MANIFEST_TABLE.all_rows(self.output))

    @property
    def parts(self):
        return [MANIFEST_TABLE.part_name(part, 2) for part in range(2)]


def _part(row):
    from transforms.storage.parts import stable_part

    return stable_part(row["content_id"], 2)


@pytest.fixture
def manifest(tmp_path):
    return Manifest(tmp_path / "out")
