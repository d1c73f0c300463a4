"""The report draws what is known of a picture where it is."""

import dataclasses

import numpy as np
import pytest

from transforms.annotations.coco_objects import Category
from transforms.annotations.geometry import encode_mask
from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import Annotation, SourceImage
from transforms.ingest.drawn_examples import COLOURS, drawn_examples
from transforms.ingest.prepare import prepare_image
from transforms.ingest.report import report_html
from transforms.ingest.shards import write_shard
from transforms.ingest.spill import SpillFile
from transforms.ingest.survey import survey_dataset
from transforms.ingest.whole_shards import manifest_table
from transforms.storage.files import read_file
from transforms.storage.parquet import writing_rows


def an_object(number, category, box, **more):
    return ImageObject(number, category, 1, box, box[2] * box[3], **more)


@pytest.fixture
def labelled(settings):
    return dataclasses.replace(
        settings,
        val_fraction=0.0,
        shards=1,
        classes=("indoors", "<b>"),
        categories=(Category(1, "dog"),),
        has_objects=True,
    )


@pytest.fixture
def dataset(output, listed, labelled, segments):
    """Return a writer of a data set of annotations by key; it returns its survey."""

    def write(known):
        spill = SpillFile(output)
        rows = []
        for seed, (key, annotation) in enumerate(known.items()):
            ref = listed(key, 40, 60, seed=seed)
            source = SourceImage(ref, read_file(ref.path), annotation)
            image = prepare_image(source, source.data, labelled)
            rows.append(dataclasses.asdict(spill.append(image)))
        spill.close()
        (shard,) = labelled.shard_names()
        waiting = [segment for _, segment in segments([(shard, row) for row in rows])]
        write_shard(output, labelled, shard, waiting)
        table = manifest_table(labelled)
        with writing_rows(output, table.part_name(0, 1), table.written_schema) as file:
            for row in table.rows(output, table.journal_name(shard)):
                file.add(row)
        return survey_dataset(output, labelled)

    return write


def test_boxes_outlines_and_masks_are_where_they_are(output, dataset, labelled):
    pytest.importorskip("pycocotools")
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, 30:40] = 1
    objects = (
        an_object(1, "dog", (1.0, 2.0, 30.0, 20.0), polygons=((1, 2, 31, 2, 31, 22),)),
        an_object(2, "dog", (30.0, 10.0, 10.0, 10.0), mask=encode_mask(mask)),
        an_object(3, "cat", (5.0, 5.0, 4.0, 4.0), crowd=True),
    )
    size = {"width": 60, "height": 40}
    survey = dataset(
        {
            "a.png": Annotation("indoors", objects=objects, **size),
            "b.png": Annotation("<b>", objects=(), **size),
            "c.png": Annotation("<b>"),
        }
    )
    assert survey.objects == {"dog": 2, "cat": 1}
    assert (survey.known, survey.object_pictures["dog"]) == (2, 1)
    drawn = {one["key"]: one for one in drawn_examples(output, labelled, survey)}
    first, *_ = drawn_examples(output, labelled, survey)
    assert first["key"] == "a.png"
    assert drawn.keys() <= {"a.png", "b.png", "c.png"}
    assert [one["box"] for one in first["objects"]] == [
        (1.0, 2.0, 30.0, 20.0),
        (30.0, 10.0, 10.0, 10.0),
        (5.0, 5.0, 4.0, 4.0),
    ]
    assert first["objects"][0]["polygons"] == ["1.0,2.0 31.0,2.0 31.0,22.0"]
    assert [one["colour"] for one in first["objects"]] == [0, 0, 1]
    assert first["objects"][1]["mask"].startswith("data:image/png;base64,")
    assert [one["count"] for one in first["counts"]] == [2, 1]
    other = next(one for key, one in drawn.items() if key != "a.png")
    assert other["nothing"] != other["unknown"]
    summary = {
        "images": dict.fromkeys(labelled.statuses, 0),
        "fingerprint": "f",
        "splits": {},
        "reasons": {},
        "identity": {},
        "encodings": {},
        "classes": [],
    }
    page = report_html(output, labelled, summary, survey, []).decode()
    assert '<polygon points="1.0,2.0 31.0,2.0 31.0,22.0"/>' in page
    assert '<rect x="30.0" y="10.0" width="10.0" height="10.0"/>' in page
    assert 'class="k1 crowd"><title>cat, a crowd</title>' in page
    assert "&lt;b&gt;" in page
    assert "<b>indoors</b>" not in page
    assert f".k{len(COLOURS) - 1} {{" in page
    assert f".k{len(COLOURS)} {{" not in page
