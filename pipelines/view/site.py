"""What is shown of an output: its page, the files of it, and pictures out of shards."""

import contextlib
import dataclasses
import errno
import functools
import glob
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from model.checksums import DamagedFileError
from pipelines.command.job_file import JOB, wrong_job
from pipelines.errors import UsageError
from transforms.buckets.places import MissingExtraError, is_remote
from transforms.buckets.reader import version_of
from transforms.pages.policy import HEAD_BYTES, NO_PAGE, policy_of
from transforms.storage.files import LeadsOutError, open_file, open_inside
from transforms.storage.folder import OutputFolder

if TYPE_CHECKING:
    from transforms.shards.shard_gallery import ShardGallery

GALLERY: Final = "gallery/index.html"

# The page of each command that has one.
_PAGES: Final[Mapping[str, str]] = {
    "stylize": GALLERY,
    "visualize": GALLERY,
    "optimize": "report.html",
    "ingest": "report.html",
    "evaluate": "index.html",
}

# The most that a bucket is asked for at once.
_PIECE: Final = 1 << 22

# What is shown, and as what: nothing that a browser would run in another way.
_HTML: Final = "text/html; charset=utf-8"
_SCRIPT: Final = "text/javascript; charset=utf-8"
_JPEG: Final = "image/jpeg"
_TYPES: Final[Mapping[str, str]] = {
    "html": _HTML,
    "js": _SCRIPT,
    "jpg": _JPEG,
    "png": "image/png",
    "json": "application/json",
    "md": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}

# What the system says of a name that is of no file.
_NO_FILE: Final = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.ELOOP,
)


class NotShownError(LookupError):
    """There is nothing of that name that is shown; the message says why."""


class Piece(NamedTuple):
    """Bytes that are shown.

    Attributes:
        file: A file that has them, open.
        begin: Where in it they begin.
        size: How many they are.
    """

    file: BinaryIO
    begin: int
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """Something that is shown.

    Attributes:
        content_type: Its media type.
        policy: The Content-Security-Policy in front of it.
        tag: Another one whenever the bytes are others.
        piece: Returns the bytes; to be called once at most.
    """

    content_type: str
    policy: str
    tag: str
    piece: Callable[[], Piece]


def open_site(root: str) -> "Site":
    """Return what is shown of an output.

    Args:
        root: Folder or URL of the output.

    Raises:
        UsageError: It is no output with a page, or cannot be read.
    """
    output = OutputFolder(root)
    job = wrong = None
    try:
        job = output.read_json(JOB)
        wrong = None if job is None else wrong_job(job)
    except NotADirectoryError:
        pass  # Somebody named a file of an output.
    except (OSError, MissingExtraError) as error:
        raise UsageError(f"{root}: {error}") from error
    except (ValueError, RecursionError) as error:
        wrong = str(error)
    if wrong is not None:
        raise UsageError(f"{root}/{JOB}: is not as stylebeam writes it: {wrong}")
    if job is None:
        raise UsageError(f"{root}: {_no_output(root)}")
    site = Site(output, job)
    try:
        site.check()
    except (OSError, DamagedFileError) as error:
        raise UsageError(f"{root}: {error}") from error
    return site


def _no_output(root: str) -> str:
    """Return what to say of a place without a job.json."""
    found = "there is no such folder"
    if is_remote(root):
        found = f"has no {JOB}, so it is no output"
    elif os.path.exists(root):
        found = "is no output"
        # What a command prints lies in its output; `demo` has its output in a folder.
        above = [os.path.dirname(root), os.path.dirname(os.path.dirname(root))]
        below = sorted(glob.glob(f"{glob.escape(root)}/*/{JOB}"))
        for folder in (*above, *map(os.path.dirname, below)):
            if os.path.exists(os.path.join(folder, JOB)):
                return f"{found}. Give {folder or '.'}, which is one"
    return f"{found}. Give the folder that a command wrote"


class Site:
    """What is shown of an output; safe in threads.

    Args:
        output: The output.
        job: Its job.json.

    Raises:
        UsageError: Its command writes no page.
    """

    def __init__(self, output: OutputFolder, job: Mapping[str, Any]) -> None:
        command = job["command"]
        if command not in _PAGES:
            raise UsageError(
                f"{output.root}: is the output of {command}, which has no page to view"
            )
        self.output = output
        self.page: Final = _PAGES[command]
        self.ended: Final = job.get("status") not in ("running", "interrupted")
        # Decoding takes memory and a core: no more at a time than there are cores.
        self._decoding = threading.Semaphore(os.cpu_count() or 1)
        self._shards = _shard_gallery(output, job) if command == "stylize" else None

    def check(self) -> None:
        """Check that the page is there.

        Raises:
            UsageError: It is not.
            OSError: It cannot be read.
        """
        try:
            with self.find(self.page) as shown:
                shown.piece()
        except NotShownError as error:
            raise UsageError(
                f"{self.output.root}: has no page yet: {self.page} is written when the "
                "job ends. Run the job again, it goes on where it was"
            ) from error

    @contextlib.contextmanager
    def find(self, name: str) -> Iterator[Shown]:
        """Find what is shown under a name, open until the block ends.

        Args:
            name: Name in the output, as `addresses.name_of` returned it.

        Raises:
            NotShownError: There is nothing of that name, or it is not shown.
            OSError: It cannot be read.
            DamagedFileError: The manifest, which says where it is, is damaged.
        """
        content_type = _TYPES.get(name.rpartition(".")[2])
        if content_type is None:
            raise NotShownError("Only pages and pictures of an output are shown.")
        with contextlib.ExitStack() as stack:
            shown = self._of_shards(name, content_type, stack)
            yield shown or self._file(name, content_type, stack)

    # ---- files ---------------------------------------------------------------------
    def _open(
        self, name: str, stack: contextlib.ExitStack, piece: int = _PIECE
    ) -> BinaryIO:
        """Open a file of the output until a stack ends."""
        try:
            if is_remote(self.output.root):
                file = open_file(self.output.path(name), piece)
            else:
                file = open_inside(self.output.root, name)
        except LeadsOutError as error:
            text = "It is a link that leads out of the output, which is not followed."
            raise NotShownError(text) from error
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise NotShownError("There is no such page or picture here.") from error
        return stack.enter_context(file)

    def _file(self, name: str, content_type: str, stack: contextlib.ExitStack) -> Shown:
        file = self._open(name, stack)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if is_remote(self.output.root):
            tag = version_of(file).strip('"')
        else:
            tag = f"{size:x}-{os.fstat(file.fileno()).st_mtime_ns:x}"
        policy = policy_of(file.read(HEAD_BYTES)) if content_type == _HTML else NO_PAGE
        return Shown(content_type, policy, tag, lambda: Piece(file, 0, size))

    # ---- what is made of shards ----------------------------------------------------
    def _of_shards(
        self, name: str, content_type: str, stack: contextlib.ExitStack
    ) -> Shown | None:
        """Return what the gallery of shards has under a name; None for other files."""
        gallery = self._shards
        if gallery is None:
            return None
        if name == self.page:
            return _made(gallery.index(), _HTML)
        if (script := gallery.script(name)) is not None:
            return _made(script, _SCRIPT)
        path = gallery.pictured(name)
        place = gallery.picture(path or name)
        if place is None or place.sha256 is None:
            return None
        cut = functools.partial(self._cut, gallery, path or name, stack)
        if path is None:
            return Shown(content_type, NO_PAGE, place.sha256, cut)
        thumbnail = functools.partial(self._thumbnail, cut)
        return Shown(_JPEG, NO_PAGE, f"{place.sha256}-small", thumbnail)

    def _cut(
        self, gallery: "ShardGallery", name: str, stack: contextlib.ExitStack
    ) -> Piece:
        """Return the piece of a shard that is a picture."""
        for is_new in (False, True):
            place = gallery.picture(name)
            if place is None:
                break
            size = place.length or 0
            try:
                file = self._open(place.name, stack, min(size, _PIECE))
                return Piece(file, place.offset, size)
            except NotShownError:
                if is_new:
                    raise
                # A run has written other shards since, and deleted this one.
                gallery.forget()
        raise NotShownError("There is no such picture any more.")

    def _thumbnail(self, cut: Callable[[], Piece]) -> Piece:
        from transforms.elements import ImageError
        from transforms.images.thumbnails import thumbnail_of

        with self._decoding:
            file, begin, size = cut()
            file.seek(begin)
            try:
                data = thumbnail_of(file.read(size))
            except ImageError as error:
                raise NotShownError(f"The picture is damaged: {error}.") from error
        return Piece(io.BytesIO(data), 0, len(data))


def _made(data: bytes, content_type: str) -> Shown:
    policy = policy_of(data[:HEAD_BYTES]) if content_type == _HTML else NO_PAGE
    tag = hashlib.sha256(data).hexdigest()
    piece = functools.partial(Piece, io.BytesIO(data), 0, len(data))
    return Shown(content_type, policy, tag, piece)


def _shard_gallery(
    output: OutputFolder, job: Mapping[str, Any]
) -> "ShardGallery | None":
    identity = job.get("identity", {})
    if identity.get("output_format", "files") == "files":
        return None
    # Late: it imports Beam, which takes seconds, and only such outputs need it.
    from transforms.shards.shard_gallery import ShardGallery

    suffix, bundle_id = identity.get("format", "jpg"), identity.get("bundle_id", "")
    return ShardGallery(output, str(suffix), str(bundle_id))
