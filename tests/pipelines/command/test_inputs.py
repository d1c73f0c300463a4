"""What the arguments of a command name, and what is in there."""

import pathlib
import zipfile

import pytest
from PIL import Image

from pipelines.command.inputs import Inputs, find_inputs, list_inputs
from pipelines.errors import UsageError
from transforms.images.decoder import decode_image
from transforms.inputs.reading import read_image


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Two folders of pictures with a name in common, and a data set of ours."""
    for name in ("day/photos/a.png", "day/photos/b.png", "night/photos/a.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32)).save(path)
    dataset = tmp_path / "set"
    dataset.mkdir()
    (dataset / "ingest.json").write_text("{}")
    return tmp_path


def keys(*arguments: str, output: str = "out") -> list[str]:
    listing = list_inputs("--content", arguments, output)
    return [ref.key for ref in listing.refs()]


class TestListInputs:
    def test_keys_are_paths_below_one_folder(self, folder: pathlib.Path) -> None:
        assert keys(str(folder / "day" / "photos")) == ["a.png", "b.png"]

    def test_several_roots_prefix_their_names(self, folder: pathlib.Path) -> None:
        found = keys(f"x={folder}/day/photos", f"y={folder}/night/photos")

        assert found == ["x/a.png", "x/b.png", "y/a.png"]

    def test_listing_counts_pictures_and_bytes(self, folder: pathlib.Path) -> None:
        photos = folder / "day" / "photos"

        listing = list_inputs("--content", [str(photos)], "out")

        assert listing.count == 2
        assert listing.size == sum(path.stat().st_size for path in photos.iterdir())

    def test_equal_keys_are_refused_with_both_places(
        self, folder: pathlib.Path
    ) -> None:
        arguments = (f"{folder}/day/photos", f"{folder}/night/photos")

        with pytest.raises(UsageError) as caught:
            keys(*arguments)

        message = str(caught.value)
        assert message.startswith("--content: ")
        assert "NAME=PATH" in message
        assert [a for a in arguments if a not in message] == []

    @pytest.mark.parametrize("argument", ["nowhere", "*.jpg"])
    def test_argument_that_names_nothing_is_refused(
        self, folder: pathlib.Path, argument: str
    ) -> None:
        with pytest.raises(UsageError, match=r"^--content: "):
            keys(str(folder / argument))

    def test_folder_without_pictures_is_refused(self, folder: pathlib.Path) -> None:
        (folder / "empty").mkdir()

        with pytest.raises(UsageError, match=r"^--content .*empty: no images found"):
            keys(str(folder / "empty"))

    def test_link_into_the_output_is_refused(self, folder: pathlib.Path) -> None:
        (folder / "day" / "again").symlink_to(folder / "night")

        with pytest.raises(UsageError, match=r"^--content: .*leads into the output"):
            keys(f"{folder}/day", output=f"{folder}/night")


class TestFindInputs:
    def test_one_folder_has_no_prefix(self, folder: pathlib.Path) -> None:
        found = find_inputs([str(folder / "day")])

        assert [(root.name, root.prefix) for root in found.files] == [("day", "")]
        assert found.tfds == ()

    def test_data_sets_are_told_from_folders_and_archives(
        self, folder: pathlib.Path
    ) -> None:
        with zipfile.ZipFile(folder / "c.zip", "w") as archive:
            archive.write(folder / "day" / "photos" / "a.png", "a.png")
        arguments = [f"{folder}/day", "tfds:coco/2017", f"{folder}/set"]

        found = find_inputs([*arguments, f"{folder}/c.zip"])

        # A root of one kind beside another has a prefix too.
        assert [root.prefix for root in found.files] == ["day/", "c.zip/"]
        assert [(root.name, root.path, root.prefix) for root in found.own] == [
            ("2017", "coco/2017", "2017/")
        ]
        assert [(root.name, root.builder, root.prefix) for root in found.tfds] == [
            ("set", str(folder / "set"), "set/")
        ]

    def test_name_of_a_data_set_can_be_given(self, folder: pathlib.Path) -> None:
        found = find_inputs(["mine=tfds:coco/2017", f"other={folder}/set"])

        assert [root.prefix for root in found.own] == ["mine/"]
        assert [root.prefix for root in found.tfds] == ["other/"]

    def test_named_data_set_alone_has_a_prefix(self) -> None:
        (root,) = find_inputs(["mine=tfds:coco/2017"]).own

        assert (root.name, root.prefix) == ("mine", "mine/")

    def test_data_set_alone_has_none(self) -> None:
        (root,) = find_inputs(["tfds:coco/2017"]).own

        assert (root.name, root.prefix) == ("2017", "")

    def test_two_roots_of_one_name_are_refused(self, folder: pathlib.Path) -> None:
        with pytest.raises(ValueError, match=r"both named 'day'.*NAME=PATH"):
            find_inputs([f"{folder}/day", "day=tfds:coco/2017"])

    def test_nothing_gives_nothing(self) -> None:
        assert find_inputs([]) == Inputs()


def test_a_data_set_is_its_pictures_and_never_its_preview(
    datasets: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    place = str(datasets / "contents")
    listing = list_inputs("--input", [place], str(tmp_path / "out"))

    refs = list(listing.refs())
    assert sorted(ref.key for ref in refs) == sorted(f"{n}.png" for n in range(16))
    for ref in refs:
        assert decode_image(read_image(ref)).pixels.shape[1] == 64
    # Beside another input, and by a name of its own.
    several = list_inputs(
        "--input", [f"set={place}", str(datasets / "content-files")], "o"
    )
    assert {ref.key.split("/")[0] for ref in several.refs()} == {"set", "content-files"}
    assert several.count == 32
