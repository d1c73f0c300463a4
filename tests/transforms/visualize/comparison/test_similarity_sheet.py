"""The sheet of the similarity of layers: a cell for each pair that has a value."""

from model.attribution.similarity import Similarity
from transforms.visualize.comparison.similarity_sheet import Matrix, draw_similarity


def test_a_matrix_is_drawn_with_its_numbers():
    values = [[Similarity(1.0, 0.9), None], [Similarity(0.0, None), Similarity(0.5, 0)]]
    names = ["block1_conv1", "other"]
    sheet = draw_similarity(Matrix(("a", "b"), names, names, values, 3, 48))
    assert [tile.part for tile in sheet.tiles] == ["cka", "debiased"]
    assert [(t.minimum, t.maximum) for t in sheet.tiles] == [(0, 1), (0, 0.9)]
    for tile in sheet.tiles:
        assert tile.box[0] + tile.box[2] <= sheet.size[0]
        assert tile.box[1] + tile.box[3] <= sheet.size[1]
    (facts,) = sheet.facts
    assert facts["cka"] == [[1.0, None], [0.0, 0.5]]
    assert facts["debiased"] == [[0.9, None], [None, 0]]
    assert (facts["rows"], facts["images"], facts["examples"]) == (names, 3, 48)
    assert sheet.path == "sheets/collection/similarity.png"
