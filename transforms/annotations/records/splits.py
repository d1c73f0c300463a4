"""The split that the name of a shard tells."""

import re
from typing import Final

from transforms.annotations.sources import SPLIT_NAMES

_WORD: Final = re.compile(r"[-_./]")


def split_of_shard(name: str) -> str:
    """Return the split of a shard as its name tells it; '' where it tells none.

    The first word of its file name counts, else the folder that it lies in.

    >>> split_of_shard("data/train-00000-of-00002.parquet"), split_of_shard("val/0.tar")
    ('train', 'val')
    >>> split_of_shard("shard-000.tar"), split_of_shard("validation_1.tar")
    ('', 'val')
    """
    *folders, file = name.split("/")
    for word in (_WORD.split(file)[0], folders[-1] if folders else ""):
        if word.lower() in SPLIT_NAMES:
            return SPLIT_NAMES[word.lower()]
    return ""
