"""The folder of a training: who may go on in it, and what it says of its bundle."""

import contextlib
import json
import pathlib
import threading
from typing import Any

import pytest

from model.bundle import PACKAGED, Bundle, load_bundle
from pipelines.errors import UsageError
from pipelines.train import workdir as module
from pipelines.train.workdir import Workdir


@pytest.fixture
def workdir(tmp_path: pathlib.Path) -> Workdir:
    return Workdir(tmp_path / "work")


def metrics(workdir: Workdir, *lines: str) -> None:
    workdir.root.mkdir(exist_ok=True)
    (workdir.root / "metrics.jsonl").write_text("".join(lines), "utf-8")


class TestBegin:
    def test_new_folder_has_no_training(self, workdir: Workdir) -> None:
        assert workdir.read_config() is None
        assert not workdir.check({"seed": 0})
        assert workdir.latest_step() is None
        assert not workdir.root.exists()

    def test_start_and_configuration_are_kept(
        self, workdir: Workdir, tiny_bundle: Bundle
    ) -> None:
        workdir.begin(tiny_bundle, {"identity": {"seed": 1}})

        found = workdir.read_config() or {}
        assert found.pop("crc32c")
        assert found == {"identity": {"seed": 1}, "start": tiny_bundle.bundle_id}
        assert workdir.start().bundle_id == tiny_bundle.bundle_id
        assert not workdir.has(".tmp")

    def test_configuration_comes_last(
        self, workdir: Workdir, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*_: Any) -> None:
            assert not workdir.has("config.json")
            raise KeyboardInterrupt

        monkeypatch.setattr(Bundle, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            workdir.begin(tiny_bundle, {})

        assert workdir.read_config() is None


class TestCheck:
    def test_same_identity_goes_on(self, workdir: Workdir) -> None:
        workdir.output.write_json("config.json", {"identity": {"seed": 1, "crop": 8}})

        assert workdir.check({"crop": 8, "seed": 1})

    @pytest.mark.parametrize(
        ("identity", "said"),
        [
            ({"batch_size": 4}, "--batch-size: the training in --workdir .* has 8"),
            ({}, "--batch-size: .* has 8, this run null"),
            ({"batch_size": 8, "seed": 1}, "--seed: .* has null, this run 1"),
        ],
    )
    def test_another_identity_is_refused_by_its_flag(
        self, workdir: Workdir, identity: dict[str, int], said: str
    ) -> None:
        workdir.output.write_json("config.json", {"identity": {"batch_size": 8}})

        with pytest.raises(UsageError, match=said):
            workdir.check(identity)

    def test_each_flipped_bit_of_the_configuration_is_seen(
        self, workdir: Workdir
    ) -> None:
        start = load_bundle(PACKAGED["default"])
        workdir.begin(start, {"identity": {"batch_size": 8, "init": None}})
        data = workdir.output.read("config.json")
        assert workdir.check({"batch_size": 8, "init": None})
        for bit in range(8 * len(data)):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            workdir.output.write("config.json", bytes(damaged))
            with contextlib.suppress(ValueError):
                # A blank that became another blank says the same.
                if json.loads(damaged) == json.loads(data):
                    continue
            with pytest.raises(UsageError, match=r"config\.json"):
                workdir.read_config()

    @pytest.mark.parametrize("text", ["{", "[1]"])
    def test_configuration_that_is_none_is_refused(
        self, workdir: Workdir, text: str
    ) -> None:
        workdir.output.write("config.json", text.encode())

        with pytest.raises(UsageError, match="--workdir"):
            workdir.check({})

    @pytest.mark.parametrize("name", ["checkpoints/checkpoint", "metrics.jsonl"])
    def test_training_without_configuration_is_refused(
        self, workdir: Workdir, name: str
    ) -> None:
        workdir.output.write(name, b"")

        with pytest.raises(UsageError, match=r"holds a training but no config\.json"):
            workdir.check({})


class TestWait:
    def test_worker_goes_on_when_the_chief_has_written(self, workdir: Workdir) -> None:
        write = threading.Timer(
            0.3, lambda: workdir.output.write_json("config.json", {})
        )
        write.start()

        workdir.wait()

        assert workdir.has("config.json")
        write.join()

    def test_worker_gives_up_on_a_chief_it_cannot_see(
        self, workdir: Workdir, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_WAIT_SECONDS", 0.0)

        with pytest.raises(UsageError, match="All workers need the same folder"):
            workdir.wait()


class TestMetrics:
    def test_later_steps_and_half_lines_are_cut(self, workdir: Workdir) -> None:
        kept = ['{"step": 1}\n', '{"step": 2}\n']
        metrics(workdir, *kept, '{"step": 3}\n', '{"st\n', '{"step": 1}')

        workdir.cut_metrics(2)

        assert (workdir.root / "metrics.jsonl").read_text() == "".join(kept)

    def test_nothing_logged_is_nothing_to_cut(self, workdir: Workdir) -> None:
        workdir.cut_metrics(0)

        assert workdir.evaluated_steps() == set()
        assert not workdir.has("metrics.jsonl")

    def test_evaluated_steps_are_those_of_the_held_out_grid(
        self, workdir: Workdir
    ) -> None:
        rows = [("train", 1), ("train", 2), ("held_out", 2), ("held_out", 4)]
        metrics(
            workdir,
            *(json.dumps({"kind": kind, "step": step}) + "\n" for kind, step in rows),
        )

        assert workdir.evaluated_steps() == {2, 4}


class TestBundleAbout:
    def test_fresh_decoder_has_no_ancestors(
        self, workdir: Workdir, tiny_bundle: Bundle
    ) -> None:
        about = workdir.bundle_about(tiny_bundle, {"seed": 1, "init": None}, 30)

        assert about == {
            "name": "adain-30",
            "license": "none, random weights",
            "lineage": [],
            "training": {"steps": 30, "options": {"seed": 1, "init": None}},
        }

    def test_decoder_trained_on_names_its_ancestors_and_adds_their_steps(
        self, workdir: Workdir, tiny_bundle: Bundle
    ) -> None:
        first = {"bundle_id": "b" * 12, "name": "adain-5", "training": {"steps": 5}}
        described = {
            **tiny_bundle.description,
            "name": "adain-25",
            "training": {"steps": 20},
            "lineage": [first],
        }
        start = Bundle(described, tiny_bundle.files)

        about = workdir.bundle_about(start, {"init": start.bundle_id}, 30)

        assert about["name"] == "adain-55"
        assert [one["bundle_id"] for one in about["lineage"]] == [
            "b" * 12,
            start.bundle_id,
        ]
        assert about["lineage"][-1]["training"] == {"steps": 20}
        assert described["lineage"] == [first]
