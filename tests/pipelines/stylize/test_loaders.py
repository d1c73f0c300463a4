"""What other people's loaders say of an output is what the source says."""

import io
import json
import shutil
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from read_back import READERS, Told, differences

from pipelines import cli

CLASSES = ["cat", "dog"]
CATEGORIES = ["face", "hand"]
SIZE = (96, 64)

# As Pillow puts a picture upright, by EXIF orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

KINDS = {
    "tfrecord": ("--output-format", "tfrecord"),
    "webdataset": ("--output-format", "webdataset"),
    "parquet": ("--output-format", "parquet"),
    "tree": ("--layout", "tree"),
}

# webdataset 1.0 leaves the shard that it has read to the end open.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


def mask_of(number):
    """Return a mask that no turn leaves as it is: 0 and 1, [height, width]."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[10 : 30 + number, 20:60] = 1
    mask[10:18, 20 : 30 + number] = 0
    return mask


def box_of(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def source():
    """Yield key, EXIF orientation, boxes as stored, and masks of each photograph."""
    yield "train/dog/1.png", 1, [[8, 6, 24, 12], [0, 0, 96, 64]], []
    yield "train/cat/1.png", 1, [[40, 20, 10, 30]], []
    yield "val/cat/2.png", 1, [], []
    yield "val/cat/3.png", 1, None, []
    for number in range(1, 9):
        mask = mask_of(number)
        folder = "train" if number % 2 else "val"
        yield f"{folder}/dog/exif{number}.png", number, [box_of(mask)], [mask]


def expected():
    """Return what is to be told of each photograph, from the source alone."""
    told = {}
    for key, orientation, boxes, masks in source():
        split, label, _ = key.split("/")
        turned = [
            np.array(Image.fromarray(mask).transpose(UPRIGHT[orientation]))
            if orientation > 1
            else mask
            for mask in masks
        ]
        found = [box_of(mask) for mask in turned] if turned else boxes
        if found is not None:
            found = [(CATEGORIES[i % 2], *box) for i, box in enumerate(found)]
        size = SIZE[::-1] if orientation >= 5 else SIZE
        captions = [] if found is None else [f"a {key}"]
        told[key] = Told(label, split, size, captions, found, turned)
    return told


def write_source(root):
    coco = pytest.importorskip("pycocotools.mask")
    images, objects, captions = [], [], []
    for seed, (key, orientation, boxes, masks) in enumerate(source()):
        path = root / "in" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (64, 96, 3), np.uint8)
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save(path, exif=exif)
        if boxes is None:
            continue
        about = {"id": 70 + seed, "file_name": key, "width": 96, "height": 64}
        images.append({**about, "license": 4})
        captions.append({"image_id": 70 + seed, "caption": f"a {key}"})
        for number, box in enumerate(boxes):
            outline = [[box[0], box[1], box[0] + 5, box[1], box[0], box[1] + 5]]
            if masks:
                code = coco.encode(np.asfortranarray(masks[number]))
                outline = {"size": code["size"], "counts": code["counts"].decode()}
            objects.append(
                {
                    "id": 900 + len(objects),
                    "image_id": 70 + seed,
                    "category_id": 3 + 6 * (number % 2),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(bool(masks)),
                    "segmentation": outline,
                }
            )
    categories = [{"id": 3, "name": "face"}, {"id": 9, "name": "hand"}]
    licenses = [{"id": 4, "name": "BY <4>", "url": "https://licences.example/by"}]
    head = {"images": images, "licenses": licenses}
    instances = {**head, "annotations": objects, "categories": categories}
    (root / "instances.json").write_text(json.dumps(instances))
    (root / "captions.json").write_text(json.dumps({**head, "annotations": captions}))


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_bundle):
    """A labelled data set of contents, one of paintings, and a bundle."""
    root = tmp_path_factory.mktemp("loaders")
    write_source(root)
    for seed, name in enumerate(("Cubism/gris_guitar", "Ukiyo_e/hokusai_wave")):
        path = root / "art" / f"{name}.png"
        path.parent.mkdir(parents=True)
        pixels = np.random.default_rng(50 + seed).integers(
            0, 255, (40, 40, 3), np.uint8
        )
        Image.fromarray(pixels).save(path)
    ingest = ["ingest", "--name", "a", "--shards", "1", "--input"]
    flags = ["--labels", "folder", "--split-from", "folder", "--kind", "coco"]
    flags += ["--annotated-as", "stored", "--instances", str(root / "instances.json")]
    flags += ["--captions", str(root / "captions.json"), "--encode", "png"]
    output = ["--output", str(root / "contents")]
    assert cli.main([*ingest, str(root / "in"), *output, *flags]) == 0
    output = ["--output", str(root / "styles"), "--kind", "wikiart"]
    assert cli.main([*ingest, str(root / "art"), *output]) == 0
    tiny_bundle.save(root / "bundle")
    return root


def stylize(world, output, *flags):
    argv = ["stylize", "--content", str(world / "contents"), "--output", str(output)]
    argv += ["--style", str(world / "styles"), "--bundle", str(world / "bundle")]
    argv += ["--pairing", "sample", "--format", "png", *flags]
    return cli.main(argv)


@pytest.fixture(scope="module")
def made(world):
    """Return a maker of outputs by kind, each made once."""

    def make(kind):
        out = world / f"out-{kind}"
        if not out.exists():
            assert stylize(world, out, *KINDS[kind]) == 0
        return out

    return make


def told_of_contents(told):
    """Return what is told of each content; each has one picture here."""
    return {key: about for (key, _), about in told.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_loader_tells_what_the_source_says(made, tmp_path, kind, capfd):
    out = made(kind)
    found = told_of_contents(READERS[kind](out, tmp_path / "cache"))
    assert differences(found, expected()) == []
    # A comparison that cannot fail would say the same.
    copy = tmp_path / "swapped"
    shutil.copytree(out, copy)
    key, label = SWAPS[kind](copy)
    found = told_of_contents(READERS[kind](copy, tmp_path / "other-cache"))
    assert differences(found, expected()) == [f"{key} has the label {label!r}"]
    capfd.readouterr()
    assert cli.main(["verify", str(out)]) == 0
    assert cli.main(["verify", str(copy)]) == 1


def other(label):
    return CLASSES[1 - CLASSES.index(label)]


def swap_in_tfrecord(out):
    import tensorflow as tf

    path = sorted((out / "shards").iterdir())[0]
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    example = tf.train.Example.FromString(records[0])
    feature = example.features.feature
    number = 1 - feature["label"].int64_list.value[0]
    feature["label"].int64_list.value[0] = number
    with tf.io.TFRecordWriter(str(path)) as file:
        for record in (example.SerializeToString(), *records[1:]):
            file.write(record)
    return feature["content_key"].bytes_list.value[0].decode(), CLASSES[number]


def swap_in_webdataset(out):
    path = sorted((out / "shards").iterdir())[0]
    with tarfile.open(path) as tar:
        members = [(m, tar.extractfile(m).read()) for m in tar]
    place = next(i for i, (m, _) in enumerate(members) if m.name.endswith(".cls"))
    member, data = members[place]
    number = 1 - int(data)
    members[place] = (member, str(number).encode())
    with tarfile.open(path, "w") as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    name = members[place][0].name.removesuffix(".cls")
    about = next(d for m, d in members if m.name == f"{name}.json")
    return json.loads(about)["content_key"], CLASSES[number]


def swap_in_parquet(out):
    path = sorted((out / "shards").iterdir())[0]
    table = pq.read_table(path)
    labels = table["label"].to_pylist()
    labels[0] = 1 - labels[0]
    place = table.column_names.index("label")
    pq.write_table(table.set_column(place, "label", pa.array(labels)), path)
    return table["content_key"][0].as_py(), CLASSES[labels[0]]


def swap_in_tree(out):
    # The last one: its name is in one folder only.
    *_, row = pq.read_table(out / "manifest").to_pylist()
    path = out / row["path"]
    label = other(row["annotation"]["label"])
    path.rename(path.parents[1] / label / path.name)
    return row["content_key"], label


SWAPS = {
    "tfrecord": swap_in_tfrecord,
    "webdataset": swap_in_webdataset,
    "parquet": swap_in_parquet,
    "tree": swap_in_tree,
}


def test_a_swapped_category_is_reported(made, tmp_path, capfd):
    """Objects have labels, too, and COCO's reader is one of the real ones."""
    copy = tmp_path / "swapped"
    shutil.copytree(made("tree"), copy)
    path = copy / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    about = content["annotations"][0]
    about["category_id"] = 12 - about["category_id"]
    path.write_text(json.dumps(content))
    (wrong,) = differences(told_of_contents(READERS["tree"](copy)), expected())
    assert "its objects are ['hand']" in wrong or "['hand', 'hand']" in wrong


# rdflib 7.6, in names that mlcroissant 1.1 uses.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", [*KINDS, "ingest"])
def test_croissant_is_valid_and_its_rows_can_be_read(made, world, kind):
    croissant = pytest.importorskip("mlcroissant")
    out = world / "contents" if kind == "ingest" else made(kind)
    dataset = croissant.Dataset(jsonld=str(out / "croissant.json"))
    issues = dataset.metadata.issues
    assert not issues.errors
    # There is no clock in an output, and nobody to cite.
    missing = {warning.split('"')[1].rpartition("/")[2] for warning in issues.warnings}
    assert missing <= {"datePublished", "citeAs", "license"}
    rows = list(dataset.records("pictures"))
    assert len(rows) == len(expected())
    names = {row.get("pictures/content_key", row.get("pictures/key")) for row in rows}
    assert {name.decode() for name in names} == set(expected())
    labels = {row["pictures/label"].decode() for row in rows}
    assert labels == set(CLASSES)
    if kind == "parquet":
        images = list(dataset.records("images"))
        assert len(images) == len(rows)
        assert {image["images/image"].size for image in images} == {SIZE, SIZE[::-1]}


@pytest.mark.parametrize("kind", [*KINDS, "ingest"])
def test_a_card_counts_pictures_and_names_licences_and_command(made, world, kind):
    out = world / "contents" if kind == "ingest" else made(kind)
    text = (out / "README.md").read_text()
    assert "| train | 6 |" in text
    assert "| val | 6 |" in text
    assert "| cat | 1 | 2 |" in text
    assert "| dog | 5 | 4 |" in text
    assert r"| BY \<4\> | https://licences.example/by | 11 |" in text
    assert "| not known | – | 1 |" in text
    command = "ingest --input in" if kind == "ingest" else "stylize --content contents"
    assert f"\nstylebeam {command} " in text
    assert str(world) not in text
    assert cli.main(["verify", str(out)]) == 0


def test_somebody_elses_readme_stays(world, tmp_path, capfd):
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("mine\n")
    assert stylize(world, out, "--alpha", "0") == 0
    assert (out / "README.md").read_text() == "mine\n"
    assert cli.main(["verify", str(out)]) == 0
    (out / "README.md").unlink()
    assert cli.main(["verify", str(out)]) == 1
    assert cli.main(["verify", str(out), "--repair"]) == 0
    card = (out / "README.md").read_text()
    # Whoever changes a card says so.
    last = card.splitlines()[-1]
    (out / "README.md").write_text(card.replace(last, "changed"))
    assert stylize(world, out, "--alpha", "0") == 0
    assert (out / "README.md").read_text().endswith("changed\n")
    (out / "README.md").write_text(f"nonsense\n{last}\n")
    assert stylize(world, out, "--alpha", "0") == 0
    assert (out / "README.md").read_text() == card
