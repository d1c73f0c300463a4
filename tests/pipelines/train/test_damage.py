"""A damaged training goes on rightly, or is refused in one line that names the file."""

import json
import shutil

import pytest

from model.training.dataset import load_index
from pipelines import cli

pytestmark = pytest.mark.slow  # Each is a whole run of a command, or two.

MORE = ("--steps", "4", "--eval-every", "2", "--checkpoint-every", "2")


@pytest.fixture
def refused(copied, train_command, capfd):
    """Return a check that training on is refused in one line."""

    def check(*named, status=2):
        capfd.readouterr()
        assert cli.main(train_command(copied, *MORE)) == status
        err = capfd.readouterr().err
        last = err.splitlines()[-1]
        assert last.startswith("stylebeam train: error: ")
        assert "Traceback" not in err
        assert all(name in last for name in named), last
        assert len(last) < 900

    return check


@pytest.mark.parametrize(
    "text", ["[]", "3", "null", "{}", '{"identity": []}', "\0", "", "[" * 99_999]
)
def test_configuration_of_a_wrong_type_is_refused(copied, refused, text, capfd):
    (copied / "config.json").write_text(text)
    if text == "null":  # As if there were none: the rest of a training is there.
        refused("holds a training but no config.json")
    else:
        refused("config.json", "Put back a copy of it")
    export = ["export", "--workdir", str(copied), "--output", str(copied / "b")]
    assert cli.main(export) == 2
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", ["bundle.json", "encoder.npz", "decoder.npz"])
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "binary"])
def test_damaged_start_is_refused(copied, refused, name, damage):
    path = copied / "start" / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        middle = len(data) // 2
        path.write_bytes(
            {
                "cut": data[:-9],
                "flipped": data[:middle]
                + bytes([data[middle] ^ 1])
                + data[middle + 1 :],
                "binary": b"\xff\xfe\0",
            }[damage]
        )
    refused("start/, the networks before the first step, is damaged", "Put back a copy")


def test_start_that_is_another_bundle_is_refused(copied, refused):
    path = copied / "start" / "bundle.json"
    about = json.loads(path.read_text())
    about["license"] = "another"
    path.write_text(json.dumps(about))
    refused("its bundle_id is", "config.json says")


def test_training_begun_before_the_start_was_noted_goes_on(copied, train_command):
    path = copied / "config.json"
    config = json.loads(path.read_text())
    del config["start"], config["crc32c"]
    path.write_text(json.dumps(config))
    assert cli.main(train_command(copied, *MORE)) == 0


def test_damaged_lines_of_metrics_are_told_and_dropped(copied, train_command, capfd):
    path = copied / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1:1] = [b"[1]\n", b'{"step": null}\n', b"\xff\xfe\n", b'{"step": 1e999}\n']
    lines[0] = b'{"step": 0}\n'
    path.write_bytes(b"".join(lines))
    assert cli.main(train_command(copied, *MORE)) == 0
    assert (
        f"train: 4 lines of {path} are damaged or none of metrics"
        in capfd.readouterr().err
    )
    steps = [json.loads(line)["step"] for line in path.read_bytes().splitlines()]
    assert steps == [0, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe\0garbage",
        b"",
        b'model_checkpoint_path: ""',
        b'model_checkpoint_path: "ckpt-99"',
        b'model_checkpoint_path: "ckpt-3"\nall_model_checkpoint_paths: "',
        b"{}",
    ],
)
def test_damaged_list_of_checkpoints_is_passed_over(copied, train_command, capfd, text):
    (copied / "checkpoints" / "checkpoint").write_bytes(text)
    assert cli.main(train_command(copied, *MORE)) == 0
    assert "going on after step 3" in capfd.readouterr().err


class TestDataSets:
    @pytest.fixture
    def contents(self, datasets, tmp_path):
        return shutil.copytree(datasets / "contents", tmp_path / "contents")

    @pytest.fixture
    def train(self, contents, train_command, tmp_path, capfd):
        def run():
            command = train_command(tmp_path / "work", "--steps", "8")
            command[command.index("--content") + 1] = str(contents)
            capfd.readouterr()
            status = cli.main(command)
            return status, capfd.readouterr().err

        return run

    def test_damaged_record_is_never_learnt_from(self, contents, train):
        (shard,) = contents.glob("*-train.tfrecord-*")
        data = bytearray(shard.read_bytes())
        for place in range(600, len(data), 700):  # Something of every picture.
            data[place] ^= 1
        shard.write_bytes(bytes(data))
        status, err = train()
        assert status == 1
        # TensorFlow, which the command line quiets before it starts, may have its say
        # in this process.
        ours = "stylebeam train: error: "
        (last,) = (n for n in err.splitlines() if n.startswith(ours))
        assert last.startswith(
            f"stylebeam train: error: {shard} is damaged: the record"
        )
        assert "`stylebeam ingest` again" in last

    def test_damaged_manifest_is_refused(self, contents, train):
        (part,) = contents.glob("manifest/part-*")
        data = part.read_bytes()
        part.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
        status, err = train()
        assert status == 2
        assert f"{part} is damaged" in err.splitlines()[-1]

    def test_pictures_are_read_out_of_checked_records(self, contents):
        index = load_index([str(contents)], "train")
        for number in range(len(index)):
            assert index.read(number)[:8] in (b"\x89PNG\r\n\x1a\n",) or index.read(
                number
            ).startswith(b"\xff\xd8")
