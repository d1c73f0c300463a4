import pathlib

from transforms.annotations.coco import read_coco
from transforms.annotations.sources import read_wikiart_list
from transforms.images.masks import _read_mask
from transforms.run_cache import forget_run, kept_for_a_run
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of

_CALLS: list[int] = []


@kept_for_a_run(maxsize=1)
def double(number: int) -> int:
    _CALLS.append(number)
    return 2 * number


def test_a_result_is_kept_until_the_next_run() -> None:
    _CALLS.clear()

    assert [double(2), double(2)] == [4, 4]
    forget_run()
    assert double(2) == 4

    assert _CALLS == [2, 2]


def test_a_worker_reads_annotations_of_the_next_run_anew(
    tmp_path: pathlib.Path,
) -> None:
    listed = tmp_path / "style_train.csv"
    captions = tmp_path / "captions.json"
    text = '{"images": [{"id": 1, "file_name": "%s.jpg"}], "annotations": []}'
    listed.write_text("Cubism/a.jpg,1\n")
    captions.write_text(text % "a")
    assert read_wikiart_list(str(listed)) == {"Cubism/a.jpg"}
    assert read_coco(captions=str(captions)).find("a.jpg") is not None

    listed.write_text("Cubism/b.jpg,1\n")
    captions.write_text(text % "b")
    forget_run()

    assert read_wikiart_list(str(listed)) == {"Cubism/b.jpg"}
    assert read_coco(captions=str(captions)).find("b.jpg") is not None


def test_a_worker_reads_a_mask_of_the_next_run_anew(tmp_path: pathlib.Path) -> None:
    from PIL import Image

    mask = tmp_path / "mask.png"
    for value in (0, 255):
        Image.new("L", (32, 32), value).save(mask)
        forget_run()

        assert _read_mask(str(mask), None).max() == value


def test_a_worker_counts_the_next_run_from_zero(tmp_path: pathlib.Path) -> None:
    output = OutputFolder(str(tmp_path))
    first = progress_of(output)
    assert progress_of(output) is first

    forget_run()

    assert progress_of(output) is not first
