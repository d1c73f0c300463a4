from transforms.ingest.spill import SpillFile
from transforms.storage.folder import OutputFolder


def test_discarded_file_is_gone(tmp_path):
    spill = SpillFile(OutputFolder(str(tmp_path)))
    assert [path for path in tmp_path.rglob("*") if path.is_file()]

    spill.discard()

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_closed_file_has_its_name(tmp_path):
    SpillFile(OutputFolder(str(tmp_path))).close()

    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert path.parent.name == "spill"
