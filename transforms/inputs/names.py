"""Names that people write down, and the keys that they mean.

An accent may be one character or a letter and a mark; nobody sees the difference, and
programs and file systems differ in which they write. So names are compared in their
composed form (NFC), while keys and ids stay those of the bytes.
"""

import unicodedata
from collections.abc import Iterable

from transforms.storage.text import shown


def composed(name: str) -> str:
    r"""Return the form in which names are compared.

    >>> composed("re\u0301ne.jpg") == composed("r\xe9ne.jpg")
    True
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class UnknownNameError(ValueError):
    """A name stands for no key, or for several; the message says so to a person."""


class KnownNames:
    """Keys, found by the names that people write.

    Args:
        keys: The keys.
        what: What they are called in messages, such as `content`.
    """

    def __init__(self, keys: Iterable[str], what: str) -> None:
        self._what = what
        self._keys: dict[str, str] = {}
        self._twice: dict[str, str] = {}
        self._by_file: dict[str, str] | None = None
        for key in keys:
            name = composed(key)
            if self._keys.setdefault(name, key) != key:
                self._twice[name] = key

    def __contains__(self, name: str) -> bool:
        return composed(name) in self._keys

    def key(self, name: str) -> str:
        """Return the key that a name means.

        Raises:
            UnknownNameError: There is none, or there are several.
        """
        form = composed(name)
        if self._twice and form in self._twice:
            raise UnknownNameError(
                f"{self._what} {shown(name)} is ambiguous: two names differ only in "
                f"how their accents are composed, {self._keys[form]!a} and "
                f"{self._twice[form]!a}. Rename one"
            )
        if form not in self._keys:
            raise UnknownNameError(
                f"there is no {self._what} {shown(name)}{self._hint(form)}"
            )
        return self._keys[form]

    def _hint(self, name: str) -> str:
        """Return what may have been meant: the same file in another folder."""
        if self._by_file is None:
            self._by_file = {_file(form): key for form, key in self._keys.items()}
        meant = self._by_file.get(_file(name))
        return "" if meant is None else f"; is {shown(meant)} meant?"


def _file(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].strip().casefold()
