"""The maps of `visualize` beside those of captum and of tf-keras-vis, same weights.

    python -m venv /tmp/peers
    /tmp/peers/bin/pip install -r benchmarks/gradient-peers-requirements.txt
    python benchmarks/gradient_peers.py photo.jpg --peers-python /tmp/peers/bin/python

Each peer runs in a process of its own and reads the packaged weights; the target is the
busiest channel of a layer, the sum of its feature map. Printed is Pearson's correlation
with our map, wanted 0.99. SmoothGrad draws other noise in each program, so no two agree
better than ours does with itself under another seed: that row comes first. Where a rule
differs, the table says how.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

LAYER = "block5_conv1"
AT = "block4_conv3"
WINDOW = 32
STEPS = 64
SAMPLES = 100
NOISE = 0.1
ANOTHER_SEED = "smoothgrad, another seed"
MEAN_RGB = (123.68, 116.779, 103.939)
LAYERS = [
    f"block{b}_conv{c}"
    for b, count in enumerate((2, 2, 3, 3, 1), start=1)
    for c in range(1, count + 1)
]
Maps = dict[str, np.ndarray]

# What a peer does otherwise, by definition.
REMARKS = {
    ("captum", "deconvnet"): "starts at every neuron, ours at those that fire",
    ("tf-keras-vis", "grad-cam-plus-plus"): "scales the α of a channel to the sum 1",
}


def our_maps(pixels: np.ndarray) -> tuple[Maps, int]:
    """Return our maps by kind, and the channel."""
    from model.attribution.featuremaps import most_active
    from model.attribution.grad_cam import grad_cam, grad_cam_plus_plus
    from model.attribution.gradients import RULES, Attribution
    from model.attribution.integrated import integrated_gradients
    from model.attribution.occlusion import Probe, occlusion_maps
    from model.attribution.smoothgrad import smoothgrad
    from model.networks.encoder import layers_to, vgg_layers
    from model.networks.weights import load_vgg_weights

    network = Attribution(
        layers_to(vgg_layers("vgg16"), LAYER), load_vgg_weights("vgg16")
    )
    seen = network.activations(pixels)
    (channel,) = most_active(seen[LAYER].numpy()[0], 1)
    targets = [channel]
    ask = (network, pixels)
    maps = {rule: network.gradients(seen, LAYER, rule, targets)[0, 0] for rule in RULES}
    for name, seed in (("smoothgrad", 1), (ANOTHER_SEED, 2)):
        maps[name] = smoothgrad(
            *ask, LAYER, targets, samples=SAMPLES, noise=NOISE, seed=[seed]
        )[0]
    maps["integrated"] = integrated_gradients(
        *ask, np.zeros_like(pixels), LAYER, targets, fewest=STEPS, most=STEPS
    ).maps[0]
    gradients = network.gradients_at(seen, LAYER, targets, AT)[0]
    features = seen[AT].numpy()[0]
    maps["grad-cam"] = grad_cam(features, gradients)[0]
    maps["grad-cam-plus-plus"] = grad_cam_plus_plus(features, gradients)[0]
    colour = np.array(MEAN_RGB, np.float32) / 255
    probes = [Probe(network, LAYER, targets)]
    maps["occlusion"] = occlusion_maps(*ask, probes, window=WINDOW, colour=colour)[0][0]
    return maps, channel


def captum_maps(pixels: np.ndarray, channel: int, weights: Any) -> Maps:
    """Return captum's maps."""
    import torch
    from captum import attr
    from torch import nn

    torch.manual_seed(0)

    class Vgg(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in LAYERS:
                kernel, bias = (
                    torch.tensor(weights[f"{name}/{part}"].astype(np.float32))
                    for part in ("kernel", "bias")
                )
                out, taken = kernel.shape[3], kernel.shape[2]
                layer = nn.Conv2d(taken, out, 3, padding=1)
                layer.weight.data, layer.bias.data = kernel.permute(3, 2, 0, 1), bias
                setattr(self, name, layer)
                setattr(self, f"{name}_relu", nn.ReLU())
            self.mean = torch.tensor(MEAN_RGB)[None, :, None, None]
            self.pool = nn.MaxPool2d(2)

        def forward(self, x: Any) -> Any:
            x = (x * 255 - self.mean).flip(1)
            for name in LAYERS:
                if name.endswith("_conv1") and name != LAYERS[0]:
                    x = self.pool(x)
                x = getattr(self, f"{name}_relu")(getattr(self, name)(x))
            return x.sum((2, 3))

    net = Vgg().eval()
    x = torch.tensor(pixels).permute(0, 3, 1, 2).requires_grad_()
    ask = {"target": channel}
    colour = (torch.tensor(MEAN_RGB) / 255)[None, :, None, None]
    saliency = attr.Saliency(net)
    stride = WINDOW // 2
    sigma = NOISE * float(pixels.max() - pixels.min())
    found = {
        "saliency": saliency.attribute(x, abs=False, **ask),
        "deconvnet": attr.Deconvolution(net).attribute(x, **ask),
        "guided": attr.GuidedBackprop(net).attribute(x, **ask),
        "smoothgrad": attr.NoiseTunnel(saliency).attribute(
            x,
            nt_samples=SAMPLES,
            nt_samples_batch_size=4,
            stdevs=sigma,
            abs=False,
            **ask,
        ),
        "integrated": attr.IntegratedGradients(net).attribute(
            x,
            n_steps=STEPS,
            method="riemann_trapezoid",
            internal_batch_size=4,
            **ask,
        ),
        "grad-cam": attr.LayerGradCam(net, getattr(net, f"{AT}_relu")).attribute(
            x, relu_attributions=True, **ask
        ),
        "occlusion": attr.Occlusion(net).attribute(
            x,
            sliding_window_shapes=(3, WINDOW, WINDOW),
            strides=(3, stride, stride),
            baselines=colour.expand_as(x),
            perturbations_per_eval=4,
            **ask,
        ),
    }
    maps = {n: m.detach().numpy()[0].transpose(1, 2, 0) for n, m in found.items()}
    maps["grad-cam"] = maps["grad-cam"][..., 0]
    maps["occlusion"] = maps["occlusion"][..., 0]
    return maps


def tf_keras_vis_maps(pixels: np.ndarray, channel: int, weights: Any) -> Maps:
    """Return the maps of tf-keras-vis, of Keras's VGG16 up to the layer."""
    import keras
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.saliency import Saliency

    whole = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=pixels.shape[1:]
    )
    model = keras.Model(whole.input, whole.get_layer(LAYER).output)
    for name in LAYERS:
        parts = [weights[f"{name}/{part}"] for part in ("kernel", "bias")]
        model.get_layer(name).set_weights([p.astype(np.float32) for p in parts])
    bgr = (pixels * 255 - np.array(MEAN_RGB, np.float32))[..., ::-1]

    def score(output: Any) -> Any:
        return keras.ops.sum(output[..., channel], axis=(1, 2))

    saliency = Saliency(model)
    plain = {"keepdims": True, "gradient_modifier": None, "normalize_map": False}
    cam = {"penultimate_layer": AT, "expand_cam": False, "normalize_cam": False}
    maps = {
        "saliency": saliency(score, bgr, **plain),
        "smoothgrad": saliency(
            score, bgr, smooth_samples=SAMPLES, smooth_noise=NOISE, **plain
        ),
    }
    maps = {n: np.asarray(m)[0][..., ::-1] for n, m in maps.items()}
    for name, method in (
        ("grad-cam", Gradcam),
        ("grad-cam-plus-plus", GradcamPlusPlus),
    ):
        found = method(model)(score, bgr, **cam)
        maps[name] = np.asarray(found[0] if isinstance(found, list) else found)[0]
    return maps


PEERS = {"captum": captum_maps, "tf-keras-vis": tf_keras_vis_maps}


def serve(peer: str, folder: pathlib.Path) -> None:
    """Write the maps of a peer; runs in the peers' environment."""
    given = np.load(folder / "given.npz")
    weights = np.load(folder / "weights.npz")
    maps = PEERS[peer](given["pixels"], int(given["channel"]), weights)
    np.savez(folder / f"{peer}.npz", **maps)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photo", nargs="?")
    parser.add_argument("--peers-python")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--serve", nargs=2)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve[0], pathlib.Path(args.serve[1]))
        return
    from model.networks.weights import load_vgg_weights
    from transforms.images.center_crop import square_picture

    data = pathlib.Path(args.photo).read_bytes()
    pixels = square_picture(data, args.size)[None]
    maps, channel = our_maps(pixels)
    print(f"command: python benchmarks/gradient_peers.py {' '.join(sys.argv[1:])}")
    print(
        f"channel {channel} of {LAYER}, {args.size} px\n\n| kind | peer | correlation |"
    )
    print("|---|---|---|")
    ours = (maps[name].ravel() for name in ("smoothgrad", ANOTHER_SEED))
    print(f"| smoothgrad | ours, another seed | {np.corrcoef(*ours)[0, 1]:.4f} |")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        np.savez(folder / "given.npz", pixels=pixels, channel=channel)
        np.savez(folder / "weights.npz", **load_vgg_weights("vgg16"))
        for peer in args.peers.split(","):
            command = [args.peers_python, __file__, "--serve", peer, name]
            subprocess.run(command, check=True)
            with np.load(folder / f"{peer}.npz") as others:
                for kind in others:
                    other = others[kind].ravel()
                    told = [REMARKS.get((peer, kind), "")]
                    # A map of a peer that has no number somewhere says nothing there.
                    known = np.isfinite(other)
                    if not known.all():
                        told.append(f"{1 - known.mean():.0%} of its map are no numbers")
                    found = np.nan
                    if known.any():
                        ours_there = maps[kind].ravel()[known]
                        found = np.corrcoef(ours_there, other[known])[0, 1]
                    remark = "; ".join(filter(None, told))
                    print(f"| {kind} | {peer} | {found:.4f} {remark} |")


if __name__ == "__main__":
    main()
