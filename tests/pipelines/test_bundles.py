"""Bundles that cannot be used: every command says why, exits with 2, writes nothing."""

import json
import shutil

import numpy as np
import pytest

from model.npz import write_npz
from pipelines import cli


def of_version_3(about, folder):
    about["format_version"] = 3


def with_a_tap_elsewhere(about, folder):
    about["encoder"]["taps"][0]["layer"] = "block5_conv1"


def with_a_projection_too_narrow(about, folder):
    about["encoder"]["taps"][1]["projection"]["out"] = 3


def with_a_skip_too_wide(about, folder):
    about["decoder"]["skips"][1]["projection"]["out"] = 99


def with_another_encoder(about, folder):
    """The weights of another encoder, and their own seal."""
    import hashlib

    from model.config import ConvSpec

    layers = [ConvSpec.from_json(layer) for layer in about["encoder"]["layers"]]
    arrays = {
        name: np.zeros(shape, np.float32)
        for layer in layers
        for name, shape in (
            (f"{layer.name}/kernel", layer.kernel_shape),
            (f"{layer.name}/bias", (layer.out_channels,)),
        )
    }
    data = write_npz(layers, arrays)
    (folder / "encoder.npz").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    about["files"]["encoder.npz"] = {"sha256": digest, "size": len(data)}


@pytest.mark.parametrize("command", ["stylize", "evaluate", "train"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (of_version_3, "has format_version 3, this stylebeam reads 1 and 2"),
        (with_a_tap_elsewhere, "The taps must be layers of the encoder"),
        (with_a_projection_too_narrow, "takes 10 channels, but block2_conv1 gives 3"),
        (with_a_skip_too_wide, "gives 99 channels, but decoder_block2_conv2 has 6"),
        (with_another_encoder, "arrays of the encoder do not fit its layers: tap_"),
    ],
)
def test_bundle_that_cannot_be_used_exits_with_2(
    datasets, level_bundles, train_command, tmp_path, capfd, command, damage, said
):
    bundle = tmp_path / "bundle"
    level_bundles("linear").save(bundle)
    about = json.loads((bundle / "bundle.json").read_text())
    damage(about, bundle)
    (bundle / "bundle.json").write_text(json.dumps(about))
    out = tmp_path / "out"
    if command == "train":
        argv = train_command(out, "--steps", "1", "--init", str(bundle))
    else:
        files = str(datasets / "style-files")
        argv = [command, "--content", files, "--style", files]
        argv += ["--output", str(out), "--bundle", str(bundle)]
    assert cli.main(argv) == 2
    error = capfd.readouterr().err
    assert said in error
    assert str(bundle) in error
    assert "Traceback" not in error
    assert not out.exists()
    shutil.rmtree(bundle)
