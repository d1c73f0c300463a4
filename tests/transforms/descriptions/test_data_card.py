"""A data card is ours to write only where nobody else wrote one."""

from transforms.descriptions.data_card import DataCard, has_card, table, write_card
from transforms.storage.folder import OutputFolder


def card(**changes):
    about = {
        "title": "a_b",
        "summary": "Two pictures.",
        "splits": {"": 1, "val": 2},
        "classes": {("", "cat"): 1, ("val", "<b>|x\ny"): 2},
        "rights": {("", ""): 3},
        "about_rights": "Ask.",
        "facts": {"size": 5},
        "command": "stylebeam ingest",
        "files": ["all"],
    }
    return DataCard(**{**about, **changes})


def test_names_are_text_and_no_markup():
    text = card().text()
    assert r"| \<b\>\|x y | 0 | 2 |" in text
    assert "| cat | 1 | 0 |" in text
    assert "| class | none | val |" in text
    assert "# a\\_b\n" in text
    assert "```sh\nstylebeam ingest\n```" in text


def test_a_fence_in_a_command_ends_no_block():
    text = card(command="stylebeam ingest --input '```'").text()
    assert "````sh\nstylebeam ingest --input '```'\n````" in text


def test_without_classes_there_is_no_table_of_them():
    assert "## Classes" not in card(classes={}).text()
    assert table(["a"], []) == ""


def test_data_files_stand_in_front_for_datasets():
    text = card(data_files={"train": "shards/*-train-*.parquet"}).text()
    head = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n"
    assert text.startswith(f'{head}    path: "shards/*-train-*.parquet"\n---\n')


def test_what_somebody_wrote_stays(tmp_path):
    output = OutputFolder(str(tmp_path))
    path = tmp_path / "README.md"
    path.write_text("mine")
    assert not write_card(output, card())
    assert path.read_text() == "mine"
    assert not has_card(output)
    path.unlink()
    assert write_card(output, card())
    assert has_card(output)
    ours = path.read_bytes()
    assert write_card(output, card(summary="Three."))
    assert b"Three." in path.read_bytes()
    # A card whose last line is gone was changed by somebody.
    *lines, _ = path.read_text().splitlines()
    path.write_text("\n".join(lines))
    assert not write_card(output, card())
    # One bit of the last line is damage.
    path.write_bytes(ours[:-10] + b"x" + ours[-9:])
    assert write_card(output, card())
    assert path.read_bytes() == ours
