"""Inputs of the command line -> references -> bytes, on folders, zips and tars."""

import concurrent.futures
import io
import os
import pickle
import stat
import struct
import tarfile
import zipfile

import pytest

from model.checksums import FRAME_HEAD
from transforms.elements import ImageError, ImageRef, Reason, image_id
from transforms.inputs import archives, reading
from transforms.inputs.reading import list_checked, list_images, read_image
from transforms.inputs.roots import parse_inputs
from transforms.storage import files
from transforms.storage.tfrecords import frame_record

ODD_NAME = os.fsdecode(b"caf\xe9.jpg")  # Latin-1 on a UTF-8 system


def fill(folder, *names):
    """Write files that hold their own name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
    return folder


def keys(*arguments):
    return [ref.key for ref in list_images(parse_inputs([str(a) for a in arguments]))]


def contents(*arguments):
    roots = parse_inputs([str(argument) for argument in arguments])
    return {ref.key: read_image(ref) for ref in list_images(roots)}


def count_checked(roots):
    return sum(1 for _ in list_checked(roots))


def make_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def make_tar(path, members, format=tarfile.PAX_FORMAT):
    with tarfile.open(path, "w", format=format) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def reason(ref):
    with pytest.raises(ImageError) as caught:
        read_image(ref)
    assert caught.value.message
    return caught.value.reason


class TestFolder:
    def test_every_file_in_sorted_order(self, tmp_path):
        fill(tmp_path, "b.jpg", "a.png", "d/c.txt", "d/e/f", "Z.JPG")
        assert keys(tmp_path) == ["Z.JPG", "a.png", "b.jpg", "d/c.txt", "d/e/f"]

    def test_bytes_and_sizes_are_those_of_the_files(self, tmp_path):
        fill(tmp_path, "a.jpg", "d/b.jpg")
        assert contents(tmp_path) == {"a.jpg": b"a.jpg", "d/b.jpg": b"d/b.jpg"}
        assert [ref.size for ref in list_images(parse_inputs([str(tmp_path)]))] == [
            5,
            7,
        ]

    def test_source_is_the_name_not_the_place(self, tmp_path):
        fill(tmp_path / "photos", "a.jpg")
        (ref,) = list_images(parse_inputs([str(tmp_path / "photos")]))
        assert (ref.key, ref.source) == ("a.jpg", "photos")

    def test_names_with_a_dot_in_front_are_skipped(self, tmp_path):
        fill(tmp_path, ".hidden.jpg", ".git/a.jpg", "d/.b.jpg", "d/.e/c.jpg", "a..jpg")
        assert keys(tmp_path) == ["a..jpg"]

    def test_dot_above_the_root_does_not_matter(self, tmp_path):
        fill(tmp_path / ".cache", "a.jpg")
        assert keys(tmp_path / ".cache") == ["a.jpg"]

    @pytest.mark.parametrize("ending", ["/", "//", "/.", "/../photos"])
    def test_spelling_of_the_path_does_not_matter(self, tmp_path, ending):
        fill(tmp_path / "photos", "a.jpg")
        roots = parse_inputs([f"{tmp_path}/photos{ending}", f"{tmp_path}/photos"])
        assert [(root.name, root.prefix) for root in roots] == [("photos", "")]

    def test_relative_path_is_read_from_elsewhere(self, tmp_path, monkeypatch):
        fill(tmp_path / "photos", "a.jpg")
        monkeypatch.chdir(tmp_path)
        refs = [
            ref
            for argument in ("photos", "photos/a.jpg", "photos/*")
            for ref in list_images(parse_inputs([argument]))
        ]
        monkeypatch.chdir("/")
        assert [read_image(ref) for ref in refs] == [b"a.jpg"] * 3

    def test_current_folder_has_its_own_name(self, tmp_path, monkeypatch):
        fill(tmp_path / "photos", "a.jpg")
        monkeypatch.chdir(tmp_path / "photos")
        assert [root.name for root in parse_inputs(["."])] == ["photos"]

    def test_links_are_followed_and_loops_end(self, tmp_path):
        fill(tmp_path / "photos", "d/a.jpg")
        fill(tmp_path / "other", "b.jpg")
        (tmp_path / "photos/link.jpg").symlink_to(tmp_path / "other/b.jpg")
        (tmp_path / "photos/other").symlink_to(tmp_path / "other")
        (tmp_path / "photos/d/up").symlink_to(tmp_path / "photos")
        (tmp_path / "photos/d/self").symlink_to(tmp_path / "photos/d")
        found = contents(tmp_path / "photos")
        assert found == {
            "d/a.jpg": b"d/a.jpg",
            "link.jpg": b"b.jpg",
            "other/b.jpg": b"b.jpg",
        }

    def test_broken_link_is_listed_and_not_found(self, tmp_path):
        (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
        (ref,) = list_images(parse_inputs([str(tmp_path)]))
        assert ref.key == "gone.jpg"
        assert reason(ref) == Reason.NOT_FOUND

    def test_pipes_are_no_inputs(self, tmp_path):
        fill(tmp_path, "a.jpg")
        os.mkfifo(tmp_path / "pipe")
        assert keys(tmp_path) == ["a.jpg"]

    def test_name_that_is_not_utf8_has_a_printable_key(self, tmp_path):
        fill(tmp_path, ODD_NAME)
        assert contents(tmp_path) == {r"caf\xe9.jpg": b"caf\xe9.jpg"}
        assert contents(tmp_path / ODD_NAME) == {r"caf\xe9.jpg": b"caf\xe9.jpg"}

    def test_folder_that_is_not_utf8_has_a_printable_name(self, tmp_path):
        odd = fill(tmp_path / os.fsdecode(b"\xe9t\xe9"), "a.jpg")
        fill(tmp_path / "b", "a.jpg")
        assert keys(odd, tmp_path / "b") == [r"\xe9t\xe9/a.jpg", "b/a.jpg"]

    def test_strange_names_work(self, tmp_path):
        names = ["a b.jpg", "ünï 名前 🎨.jpg", "q\"'&<b>.jpg", "new\nline", "*[?].jpg"]
        fill(tmp_path, *names)
        assert contents(tmp_path) == {name: name.encode() for name in names}
        for name in names:  # also on their own: an existing path is no glob
            assert contents(tmp_path / name) == {name: name.encode()}

    def test_listing_streams(self, tmp_path):
        for k in range(5):
            fill(tmp_path, f"d{k}/a.jpg")
        found = list_images(parse_inputs([str(tmp_path)]))
        assert next(found).key == "d0/a.jpg"
        (tmp_path / "d4" / "late.jpg").touch()  # seen, as d4 has not been listed yet
        assert [ref.key for ref in found][-1] == "d4/late.jpg"

    def test_folder_that_cannot_be_listed_is_named(self, tmp_path):
        fill(tmp_path / "photos", "a.jpg")
        roots = parse_inputs([str(tmp_path / "photos")])
        (tmp_path / "photos/a.jpg").unlink()
        (tmp_path / "photos").rmdir()
        with pytest.raises(ValueError, match=r"cannot list the folder .*photos"):
            list(list_images(roots))


class TestArguments:
    def test_file_has_its_folder_as_root(self, tmp_path):
        fill(tmp_path / "d", "a.jpg", "b.jpg")
        assert keys(tmp_path / "d/a.jpg") == ["a.jpg"]

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*.jpg", ["a.jpg"]),
            ("*", ["a.jpg", "b.png"]),
            ("?.png", ["b.png"]),
            ("[!a]*", ["b.png"]),
            ("**", ["a.jpg", "b.png", "d/c.jpg", "d/e/f.jpg"]),
            ("**/*.jpg", ["a.jpg", "d/c.jpg", "d/e/f.jpg"]),
            ("*/*.jpg", ["d/c.jpg"]),
            ("*/**/*.jpg", ["d/c.jpg", "d/e/f.jpg"]),
            ("**/e/*", ["d/e/f.jpg"]),
            ("**/**/f.*", ["d/e/f.jpg"]),
        ],
    )
    def test_glob(self, tmp_path, pattern, expected):
        fill(tmp_path, "a.jpg", "b.png", "d/c.jpg", "d/e/f.jpg", ".h.jpg", ".x/y.jpg")
        assert keys(f"{tmp_path}/{pattern}") == expected

    def test_root_of_a_glob_is_its_longest_fixed_folder(self, tmp_path):
        fill(tmp_path, "d/e/f.jpg")
        assert keys(f"{tmp_path}/d/*/f.jpg") == ["e/f.jpg"]
        assert keys(f"{tmp_path}/d/e/*") == ["f.jpg"]

    def test_shell_expanded_glob_equals_a_quoted_one(self, tmp_path):
        fill(tmp_path, "a.jpg", "b.jpg", "c.png")
        expanded = [tmp_path / name for name in ("a.jpg", "b.jpg")]
        assert keys(*expanded) == keys(f"{tmp_path}/*.jpg") == ["a.jpg", "b.jpg"]

    def test_same_file_twice_is_one_input(self, tmp_path):
        fill(tmp_path, "a.jpg", "b.jpg")
        arguments = [tmp_path / "a.jpg", tmp_path / "a.jpg", f"{tmp_path}/a*", tmp_path]
        assert keys(*arguments) == ["a.jpg", "b.jpg"]

    def test_several_roots_are_told_apart_by_name(self, tmp_path):
        fill(tmp_path, "x/a.jpg", "y/a.jpg")
        assert keys(tmp_path / "x", tmp_path / "y/a.jpg") == ["x/a.jpg", "y/a.jpg"]

    def test_name_is_always_in_front(self, tmp_path):
        fill(tmp_path, "x/a.jpg")
        roots = parse_inputs([f"mine={tmp_path}/x"])
        (ref,) = list_images(roots)
        assert (ref.key, ref.source, roots[0].name) == ("mine/a.jpg", "mine", "mine")
        assert keys(f"mine={tmp_path}/x/*.jpg") == ["mine/a.jpg"]
        assert keys(f"mine={tmp_path}/x/a.jpg") == ["mine/a.jpg"]

    def test_existing_path_with_an_equals_sign_wins(self, tmp_path, monkeypatch):
        fill(tmp_path, "k=v/a.jpg", "v/b.jpg", "f=g.jpg", "g.jpg")
        monkeypatch.chdir(tmp_path)
        assert keys("k=v") == ["a.jpg"]
        assert keys("k=v/*.jpg") == ["a.jpg"]
        assert keys("f=g.jpg") == ["f=g.jpg"]
        assert keys("n=k=v") == ["n/a.jpg"]
        assert keys("n=v/*") == ["n/b.jpg"]
        assert keys(f"{tmp_path}/k=v") == ["a.jpg"]

    @pytest.mark.parametrize(
        "argument", ["nowhere", "nowhere/*.jpg", "*.gif", "n=gone"]
    )
    def test_nothing_there_is_named(self, tmp_path, monkeypatch, argument):
        fill(tmp_path, "a.jpg")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError) as caught:
            parse_inputs([argument])
        assert repr(argument) in str(caught.value)

    @pytest.mark.parametrize("argument", ["", "n="])
    def test_empty_path_is_not_the_current_folder(self, argument):
        with pytest.raises(FileNotFoundError, match="input"):
            parse_inputs([argument])

    def test_device_is_refused(self):
        with pytest.raises(ValueError, match="neither a file nor a folder"):
            parse_inputs(["/dev/null"])

    @pytest.mark.parametrize("name", ["a.tar.gz", "a.TGZ", "a.tar.bz2", "a.tar.xz"])
    def test_compressed_tar_is_refused_with_the_reason(self, tmp_path, name):
        fill(tmp_path, name)
        for argument in (f"{tmp_path}/{name}", f"{tmp_path}/*.{name.split('.', 1)[1]}"):
            with pytest.raises(ValueError, match=r"no random access.*plain \.tar"):
                parse_inputs([argument])

    @pytest.mark.parametrize("name", ["a.zip", "a.tar"])
    def test_unreadable_archive_is_named(self, tmp_path, name):
        (tmp_path / name).write_bytes(b"neither a zip nor a tar" * 99)
        with pytest.raises(ValueError, match=rf"input '.*{name}': not a readable"):
            parse_inputs([str(tmp_path / name)])

    def test_roots_and_refs_can_be_pickled_and_compared(self, tmp_path):
        fill(tmp_path, "a.jpg", "d/b.jpg")
        roots = parse_inputs([str(tmp_path), f"{tmp_path}/d/*"])
        assert pickle.loads(pickle.dumps(roots)) == roots
        assert hash(roots) == hash(pickle.loads(pickle.dumps(roots)))

    def test_no_arguments_are_no_roots(self):
        assert parse_inputs([]) == ()
        assert count_checked(()) == 0


MEMBERS = {"b.jpg": b"B" * 700, "d/a.png": b"A", "./d/c.jpg": b"", "é 名.jpg": b"U"}
SKIPPED = {".h.jpg": b"", "__MACOSX/._b.jpg": b"", "d/.e/f.jpg": b""}


@pytest.fixture(params=["zip", "tar", "gnu"])
def archive(request, tmp_path):
    """An archive of `MEMBERS` and hidden files."""
    if request.param == "zip":
        return make_zip(tmp_path / "train.ZIP", MEMBERS | SKIPPED)
    format = tarfile.GNU_FORMAT if request.param == "gnu" else tarfile.PAX_FORMAT
    return make_tar(tmp_path / "train.tar", MEMBERS | SKIPPED, format)


class TestArchive:
    def test_members_are_read_in_place(self, archive):
        expected = {key.removeprefix("./"): data for key, data in MEMBERS.items()}
        assert contents(archive) == expected
        assert list(contents(archive)) == list(expected)  # in the archive's order
        sizes = [ref.size for ref in list_images(parse_inputs([str(archive)]))]
        assert sizes == [len(data) for data in MEMBERS.values()]

    def test_name_has_the_suffix(self, archive, tmp_path):
        fill(tmp_path / "x", "a.jpg")
        roots = parse_inputs([str(archive), str(tmp_path / "x")])
        assert [root.name for root in roots] == [archive.name, "x"]
        assert next(list_images(roots)).key == f"{archive.name}/b.jpg"

    def test_glob_of_archives_equals_the_expanded_one(self, tmp_path):
        fill(tmp_path, "not.jpg")
        for name in ("x.zip", "y.zip"):
            make_zip(tmp_path / name, {"a.jpg": name.encode()})
        found = contents(f"{tmp_path}/*.zip")
        assert found == {"x.zip/a.jpg": b"x.zip", "y.zip/a.jpg": b"y.zip"}
        assert found == contents(tmp_path / "x.zip", tmp_path / "y.zip")

    def test_archive_in_a_folder_is_a_file_like_any_other(self, tmp_path):
        make_zip(tmp_path / "x.zip", {"a.jpg": b""})
        assert keys(tmp_path) == ["x.zip"]

    def test_long_names_work(self, tmp_path):
        members = {f"{'d' * 90}/{'e' * 90}/{'f' * 90}.jpg": b"1", "after.jpg": b"2"}
        for format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            assert contents(make_tar(tmp_path / "x.tar", members, format)) == members

    @pytest.mark.parametrize("name", ["../evil.jpg", "/etc/evil.jpg", "d/../../e.jpg"])
    def test_name_that_leads_outside_is_listed_and_fails(self, tmp_path, name):
        for path in (
            make_zip(tmp_path / "x.zip", {name: b"1", "a.jpg": b"2"}),
            make_tar(tmp_path / "x.tar", {name: b"1", "a.jpg": b"2"}),
        ):
            evil, good = list_images(parse_inputs([str(path)]))
            assert evil.key == name
            assert reason(evil) == Reason.BAD_ARCHIVE_MEMBER
            assert read_image(good) == b"2"
            assert "/" not in image_id(evil.key)

    def test_archive_that_vanished_is_not_found(self, archive):
        refs = list(list_images(parse_inputs([str(archive)])))
        archive.unlink()
        assert {reason(ref) for ref in refs} == {Reason.NOT_FOUND}

    def test_member_above_the_limit_is_not_read(self, archive, monkeypatch):
        monkeypatch.setattr(archives, "MAX_BYTES", 100)
        first, second, *_ = list_images(parse_inputs([str(archive)]))
        assert reason(first) == Reason.BAD_ARCHIVE_MEMBER
        assert read_image(second) == b"A"


class TestZip:
    def test_directories_are_no_members(self, tmp_path):
        path = make_zip(tmp_path / "x.zip", {"d/": b"", "d/a.jpg": b"1"})
        assert keys(path) == ["d/a.jpg"]

    @pytest.mark.parametrize(
        "compression", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    def test_damaged_member_fails_alone(self, tmp_path, compression):
        members = {"a.jpg": bytes(range(256)) * 40, "b.jpg": b"fine"}
        path = make_zip(tmp_path / "x.zip", members, compression)
        data = bytearray(path.read_bytes())
        for place in range(60, 70):
            data[place] ^= 255
        path.write_bytes(data)
        bad, good = list_images(parse_inputs([str(path)]))
        assert reason(bad) == Reason.BAD_ARCHIVE_MEMBER
        assert read_image(good) == b"fine"

    @pytest.mark.parametrize(
        ("field", "value"),
        [(6, 1), (8, 99), (26, 0xFFFF)],
        ids=["encrypted", "unknown compression", "name length"],
    )
    def test_odd_member_fails_alone(self, tmp_path, field, value):
        path = make_zip(tmp_path / "x.zip", {"a.jpg": b"1" * 99, "b.jpg": b"fine"})
        data = bytearray(path.read_bytes())
        central = data.index(b"PK\1\2")
        data[field : field + 2] = struct.pack("<H", value)  # the member's own header
        if field < 26:
            data[central + field + 2 : central + field + 4] = struct.pack("<H", value)
        path.write_bytes(data)
        bad, good = list_images(parse_inputs([str(path)]))
        assert reason(bad) == Reason.BAD_ARCHIVE_MEMBER
        assert read_image(good) == b"fine"

    def test_bomb_is_refused_by_its_declared_size(self, tmp_path):
        path = make_zip(tmp_path / "x.zip", {"a.jpg": b"1" * 99})
        data = bytearray(path.read_bytes())
        central = data.index(b"PK\1\2")
        data[central + 24 : central + 28] = struct.pack("<I", 2**31)
        path.write_bytes(data)
        (ref,) = list_images(parse_inputs([str(path)]))
        assert ref.size == 2**31
        assert reason(ref) == Reason.BAD_ARCHIVE_MEMBER

    def test_link_is_no_image(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            info = zipfile.ZipInfo("link.jpg")
            info.create_system = 3
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
        (ref,) = list_images(parse_inputs([str(tmp_path / "x.zip")]))
        assert reason(ref) == Reason.BAD_ARCHIVE_MEMBER

    def test_directory_is_parsed_once(self, tmp_path, monkeypatch):
        path = make_zip(tmp_path / "x.zip", {f"{k}.jpg": b"1" for k in range(20)})
        opened = []
        real = zipfile.ZipFile

        def count(*args, **options):
            opened.append(args)
            return real(*args, **options)

        monkeypatch.setattr(zipfile, "ZipFile", count)
        assert len(contents(path)) == 20
        assert len(opened) == 1

    def test_threads_share_an_archive(self, tmp_path):
        members = {f"{k}.jpg": os.urandom(5000) for k in range(40)}
        refs = list(
            list_images(parse_inputs([str(make_zip(tmp_path / "x.zip", members))]))
        )
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(read_image, refs * 5))
        assert found == list(members.values()) * 5

    def test_new_archive_under_the_same_name_is_seen(self, tmp_path):
        assert contents(make_zip(tmp_path / "x.zip", {"a.jpg": b"1"})) == {
            "a.jpg": b"1"
        }
        os.utime(tmp_path / "x.zip", ns=(1, 1))
        found = contents(make_zip(tmp_path / "x.zip", {"b.jpg": b"22"}))
        assert found == {"b.jpg": b"22"}

    def test_archive_changed_since_the_listing_fails(self, tmp_path):
        path = make_zip(tmp_path / "x.zip", {"a.jpg": b"1"})
        (ref,) = list_images(parse_inputs([str(path)]))
        make_zip(path, {"other.jpg": b"12345"})
        assert reason(ref) == Reason.BAD_ARCHIVE_MEMBER
        path.write_bytes(b"no zip any more")
        assert reason(ref) == Reason.BAD_ARCHIVE_MEMBER


class TestTar:
    def test_offset_is_where_the_bytes_are(self, tmp_path):
        path = make_tar(tmp_path / "x.tar", {"a.jpg": b"hello", "b.jpg": b"world"})
        for ref in list_images(parse_inputs([str(path)])):
            data = path.read_bytes()[ref.offset : ref.offset + ref.size]
            assert read_image(ref) == data != b""

    def test_links_and_sparse_files_fail_and_folders_are_skipped(self, tmp_path):
        with tarfile.open(
            tmp_path / "x.tar", "w", format=tarfile.GNU_FORMAT
        ) as archive:
            kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.GNUTYPE_SPARSE]
            for kind in [*kinds, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.REGTYPE]:
                info = tarfile.TarInfo(f"{kind.decode()}.jpg")
                info.type = kind
                info.linkname = "a.jpg" if kind in kinds[:2] else ""
                archive.addfile(info)
        *bad, good = list_images(parse_inputs([str(tmp_path / "x.tar")]))
        assert [ref.key for ref in bad] == ["2.jpg", "1.jpg", "S.jpg"]
        assert {reason(ref) for ref in bad} == {Reason.BAD_ARCHIVE_MEMBER}
        assert read_image(good) == b""

    @pytest.mark.parametrize("cut", [2048 + 512 + 10, 2048 + 512 + 1500])
    def test_cut_member_is_listed_and_fails(self, tmp_path, cut):
        members = {"a.jpg": b"1" * 1500, "b.jpg": b"2" * 1500}
        path = make_tar(tmp_path / "x.tar", members)
        path.write_bytes(path.read_bytes()[:cut])
        first, second = list_images(parse_inputs([str(path)]))
        assert read_image(first) == b"1" * 1500
        if cut < 2048 + 512 + 1500:
            assert reason(second) == Reason.BAD_ARCHIVE_MEMBER
        else:  # only padding is missing
            assert read_image(second) == b"2" * 1500

    def test_single_cut_member_is_listed_and_fails(self, tmp_path):
        path = make_tar(tmp_path / "x.tar", {"a.jpg": b"1" * 1500})
        path.write_bytes(path.read_bytes()[:1000])
        (ref,) = list_images(parse_inputs([str(path)]))
        assert reason(ref) == Reason.BAD_ARCHIVE_MEMBER

    @pytest.mark.parametrize("damage", ["garbage", "cut"])
    def test_damaged_header_is_not_taken_for_the_end(self, tmp_path, damage):
        path = make_tar(tmp_path / "x.tar", {f"{k}.jpg": b"1" * 500 for k in range(3)})
        data = bytearray(path.read_bytes())
        data[1024 : 1024 + 300] = b"\xff" * 300
        path.write_bytes(data if damage == "garbage" else data[: 1024 + 300])
        with pytest.raises(ValueError, match="damaged at byte 1024"):
            count_checked(parse_inputs([str(path)]))

    def test_empty_tar_has_no_images(self, tmp_path):
        assert keys(make_tar(tmp_path / "x.tar", {})) == []


class TestKeys:
    def test_images_are_counted(self, tmp_path):
        fill(tmp_path, "x/a.jpg", "x/d/a.jpg", "y/a.jpg")
        make_zip(tmp_path / "z.zip", {"a.jpg": b"", "b.jpg": b""})
        arguments = [str(tmp_path / name) for name in ("x", "y", "z.zip")]
        assert count_checked(parse_inputs(arguments)) == 5

    def test_equal_keys_name_both_and_the_way_out(self, tmp_path):
        fill(tmp_path, "x/train/a.jpg", "y/train/a.jpg", "y/train/b.jpg")
        paths = [f"{tmp_path}/x/train", f"{tmp_path}/y/train"]
        with pytest.raises(ValueError, match="NAME=PATH") as caught:
            count_checked(parse_inputs(paths))
        assert "'train/a.jpg'" in str(caught.value)
        assert f"{paths[0]}/a.jpg" in str(caught.value)
        assert f"{paths[1]}/a.jpg" in str(caught.value)
        assert count_checked(parse_inputs([paths[0], f"other={paths[1]}"])) == 3

    def test_roots_of_one_name_without_equal_keys_pass(self, tmp_path):
        fill(tmp_path, "x/train/a.jpg", "y/train/b.jpg")
        assert (
            count_checked(parse_inputs([f"{tmp_path}/x/train", f"{tmp_path}/y/train"]))
            == 2
        )

    @pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile's, on writing
    @pytest.mark.parametrize("kind", ["zip", "tar"])
    def test_member_twice_in_an_archive(self, tmp_path, kind):
        path = tmp_path / f"x.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                for name in ("a.jpg", "b.jpg", "./a.jpg"):
                    archive.writestr(name, b"1")
        else:
            make_tar(path, {"a.jpg": b"1", "b.jpg": b"1", "./a.jpg": b"2"})
        with pytest.raises(ValueError, match=r"'a\.jpg'.*x\.(zip|tar):"):
            count_checked(parse_inputs([str(path)]))

    def test_escaped_name_and_its_double_are_told_apart(self, tmp_path):
        fill(tmp_path, ODD_NAME, r"caf\xe9.jpg", "plain.jpg")
        with pytest.raises(ValueError, match="two images have the key"):
            count_checked(parse_inputs([str(tmp_path)]))

    def test_plain_folders_hold_no_keys(self, tmp_path, monkeypatch):
        fill(tmp_path, *(f"x/{k}.jpg" for k in range(50)))
        held = []

        class Spy(set):
            def add(self, key):
                held.append(key)

        monkeypatch.setattr(reading, "set", Spy, raising=False)
        assert count_checked(parse_inputs([str(tmp_path / "x")])) == 50
        assert held == []


class TestReading:
    def ref(self, path, **options):
        return ImageRef("k.jpg", "s", str(path), **options)

    def test_vanished_file_is_not_found(self, tmp_path):
        assert reason(self.ref(tmp_path / "gone.jpg")) == Reason.NOT_FOUND
        fill(tmp_path, "a")
        assert reason(self.ref(tmp_path / "a/b.jpg")) == Reason.NOT_FOUND

    def test_folder_in_its_place_is_unreadable(self, tmp_path):
        assert reason(self.ref(tmp_path)) == Reason.UNREADABLE

    def test_i_o_error_is_unreadable(self, monkeypatch, tmp_path):
        def broken(path):
            raise OSError(5, "Input/output error", path)

        monkeypatch.setattr(files, "open_file", broken)
        with pytest.raises(ImageError) as caught:
            read_image(self.ref(tmp_path / "a.jpg"))
        assert caught.value.reason == Reason.UNREADABLE
        assert str(tmp_path) not in caught.value.message  # outputs hold no paths

    def test_absurd_size_is_unreadable_without_reading(self, tmp_path):
        with open(tmp_path / "a.jpg", "wb") as file:
            file.truncate(2 << 30)  # takes no space
        assert reason(self.ref(tmp_path / "a.jpg")) == Reason.UNREADABLE

    def test_no_memory_is_told(self, monkeypatch, tmp_path):
        def no_memory(path):
            raise MemoryError

        monkeypatch.setattr(files, "open_file", no_memory)
        assert reason(self.ref(tmp_path)) == Reason.OUT_OF_MEMORY

    def test_programming_error_is_not_an_image_failure(self, monkeypatch, tmp_path):
        monkeypatch.setattr(files, "open_file", None)
        with pytest.raises(TypeError):
            read_image(self.ref(tmp_path))


class TestRemote:
    @pytest.fixture
    def bucket(self, memory_bucket, tmp_path):
        zipped = make_zip(tmp_path / "z.zip", {"m.jpg": b"zip"}).read_bytes()
        tarred = make_tar(tmp_path / "t.tar", {"m.jpg": b"tar"}).read_bytes()
        memory_bucket.objects = {
            "p/a.jpg": b"a",
            "p/d/c.jpg": b"c",
            "p/d/": b"",
            "p/.h.jpg": b"",
            "p/.x/h.jpg": b"",
            "p-2/other.jpg": b"",
            "odd/e[1].jpg": b"odd",
            "odd/e1.jpg": b"",
            "z.zip": zipped,
            "t.tar": tarred,
        }
        return memory_bucket.objects

    @pytest.mark.parametrize(
        ("argument", "expected"),
        [
            ("gs://b/p", {"a.jpg": b"a", "d/c.jpg": b"c"}),
            ("gs://b/p/", {"a.jpg": b"a", "d/c.jpg": b"c"}),
            ("gs://b/p/*.jpg", {"a.jpg": b"a"}),
            ("gs://b/p/**/*.jpg", {"a.jpg": b"a", "d/c.jpg": b"c"}),
            ("gs://b/p/d/c.jpg", {"c.jpg": b"c"}),
            ("n=gs://b/p/d", {"n/c.jpg": b"c"}),
            ("GS://b/p/d", {"c.jpg": b"c"}),
            ("gs://b/odd/e[1].jpg", {"e[1].jpg": b"odd"}),
            ("gs://b/odd/e[12].jpg", {"e1.jpg": b""}),
            ("gs://b/z.zip", {"m.jpg": b"zip"}),
            ("gs://b/t.tar", {"m.jpg": b"tar"}),
        ],
    )
    def test_objects_are_listed_and_read(self, bucket, argument, expected):
        assert contents(argument) == expected
        assert count_checked(parse_inputs([argument])) == len(expected)

    @pytest.mark.parametrize("argument", ["gs://b/q", "gs://b/p/*.gif", "n=gs://b/q"])
    def test_nothing_there_is_named(self, bucket, argument):
        with pytest.raises(FileNotFoundError) as caught:
            parse_inputs([argument])
        assert repr(argument) in str(caught.value)

    def test_vanished_object_is_not_found(self, bucket):
        refs = list(list_images(parse_inputs(["gs://b/p", "gs://b/t.tar"])))
        bucket.clear()
        assert [reason(ref) for ref in refs] == [Reason.NOT_FOUND] * 3


@pytest.mark.parametrize("place", range(0, 55, 3))
def test_no_flipped_byte_of_a_record_is_taken_for_a_picture(tmp_path, place):
    # The picture lies behind other bytes of its record, which are checked, too.
    before, picture = b"key and label", bytes(range(20))
    frame = frame_record(before + picture + b"behind")
    path = tmp_path / "set.tfrecord"
    path.write_bytes(b"another one" + frame)
    start = len(b"another one")
    ref = ImageRef(
        "a.jpg",
        "set",
        str(path),
        offset=start + FRAME_HEAD + len(before),
        size=len(picture),
        frame=start,
    )
    assert read_image(ref) == picture
    damaged = bytearray(frame)
    damaged[place] ^= 1
    path.write_bytes(b"another one" + damaged)
    with pytest.raises(ImageError, match="the record at byte 11 is not as it was"):
        read_image(ref)
    path.write_bytes(b"another one" + frame[:place])
    with pytest.raises(ImageError, match="is damaged"):
        read_image(ref)
