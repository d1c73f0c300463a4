"""Figures of saving and loading: what each form keeps of a model and its training."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from model.tensorflow_keras import keras
from slides.classroom import Classroom, floats
from slides.figure import Figure, Picture, Table
from transforms.images.decoder import resize_image

_SIDE = 64


def fresh_and_restored(room: Classroom) -> Sequence[Figure]:
    """Draw what a trained, a fresh and a restored model make of one picture."""
    picture = _picture(room)
    trained = small_model()
    trained.fit(picture, picture, epochs=max(2, room.steps), verbose=0)
    file = _file(room, "trained.weights.h5")
    trained.save_weights(file)
    fresh = small_model(seed=7, compiled=False)
    restored = small_model(seed=8, compiled=False)
    restored.load_weights(file)
    models = {"trained": trained, "fresh": fresh, "restored": restored}
    found: list[Figure] = [Picture(_pixels(picture), "what goes in", crisp=True)]
    rows = []
    for name, model in models.items():
        found.append(Picture(_pixels(model(picture)), name, crisp=True))
        rows.append([name, f"{_loss(model, picture):.6f}"])
    caption = "A small autoencoder. The restored one has the loss of the trained one."
    return [*found, Table(["model", "loss"], rows, caption)]


def inside_a_checkpoint(room: Classroom) -> Sequence[Figure]:
    """Tell what is in a checkpoint of TensorFlow, without building anything."""
    picture = _picture(room)
    model = small_model()
    model.fit(picture, picture, epochs=2, verbose=0)
    state = tf.train.Checkpoint(
        model=model, optimizer=model.optimizer, step=tf.Variable(2, dtype=tf.int64)
    )
    manager = tf.train.CheckpointManager(state, _file(room, "checkpoints"), 1)
    manager.save()
    rows = [
        [name, " × ".join(map(str, shape)) or "one number"]
        for name, shape in tf.train.list_variables(manager.latest_checkpoint)
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    ]
    caption = (
        "tf.train.list_variables. A value is named by the shortest way to it through "
        "the objects; beside the weights stand the step and, for each weight, the two "
        "means that Adam keeps."
    )
    return [Table(["name", "shape"], rows, caption)]


def model_checkpoint(room: Classroom) -> Sequence[Figure]:
    """Tell what `ModelCheckpoint` keeps of the optimizer, in both of its forms."""
    picture = _picture(room)
    model = small_model()
    whole = _file(room, "fit.keras")
    weights = _file(room, "fit.weights.h5")
    keep = [
        keras.callbacks.ModelCheckpoint(whole),
        keras.callbacks.ModelCheckpoint(weights, save_weights_only=True),
    ]
    model.fit(picture, picture, epochs=3, verbose=0, callbacks=keep)
    loaded = keras.models.load_model(whole)
    built = small_model(seed=7)
    built.optimizer.build(built.trainable_variables)
    built.load_weights(weights)
    bare = small_model(seed=7, compiled=False)
    bare.load_weights(weights)
    rows = []
    for name, one in (
        ("the model that was trained", model),
        ("save_weights_only=False: load_model(…keras)", loaded),
        ("save_weights_only=True, loaded behind optimizer.build(…)", built),
        ("save_weights_only=True, loaded into a model without optimizer", bare),
    ):
        rows.append([name, f"{_loss(one, picture):.6f}", *_optimizer(one)])
    caption = (
        "Three epochs of one step. All losses are equal, but who goes on with the last "
        "one begins Adam anew. A .keras file brings the optimizer along; a file of "
        "weights has it too, and gives it only to an optimizer that is built already."
    )
    head = ["", "loss", "steps of the optimizer", "mean of |Adam's first mean|"]
    return [Table(head, rows, caption)]


def custom_loop(room: Classroom) -> Sequence[Figure]:
    """Tell the losses of the files that a loop of one's own writes on its way."""
    picture = _picture(room)
    model = small_model(compiled=False)
    optimizer = keras.optimizers.Adam(1e-2)
    rows = []
    for step in range(1, 7):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(picture) - picture))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        if step % 2 == 0:
            file = _file(room, f"step-{step}.weights.h5")
            model.save_weights(file)
            again = small_model(seed=7, compiled=False)
            again.load_weights(file)
            name = pathlib.Path(file).name
            rows.append([name, f"{_loss(model, picture):.6f}"])
            rows[-1].append(f"{_loss(again, picture):.6f}")
    caption = (
        "model.save_weights in a loop with a GradientTape. Neither the optimizer nor "
        "the step is in such a file; tf.train.Checkpoint keeps both."
    )
    return [Table(["file", "loss", "loss of a new model with it"], rows, caption)]


def small_model(seed: int = 0, *, compiled: bool = True) -> Any:
    """Return an autoencoder of two convolutions, with an optimizer if compiled."""
    start = keras.initializers.GlorotUniform
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(
                8, 3, padding="same", activation="relu", kernel_initializer=start(seed)
            ),
            keras.layers.Conv2D(
                3, 3, padding="same", kernel_initializer=start(seed + 100)
            ),
        ]
    )
    if compiled:
        model.compile(keras.optimizers.Adam(1e-2), loss="mse")
    return model


def _picture(room: Classroom) -> Any:
    small = resize_image(room.photograph, max(_SIDE, 32))
    return floats(small[:_SIDE, :_SIDE])


def _pixels(picture: Any) -> Any:
    return np.rint(np.clip(np.asarray(picture)[0], 0, 1) * 255).astype(np.uint8)


def _loss(model: Any, picture: Any) -> float:
    return float(tf.reduce_mean(tf.square(model(picture) - picture)))


def _optimizer(model: Any) -> tuple[str, str]:
    """Return the steps of a model's optimizer and the size of what it keeps."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return "none", "none"
    means = [v.numpy() for v in optimizer.variables if "momentum" in v.path]
    size = np.mean([np.abs(mean).mean() for mean in means])
    return str(int(optimizer.iterations.numpy())), f"{size:.2e}"


def _file(room: Classroom, name: str) -> str:
    room.folder.mkdir(parents=True, exist_ok=True)
    return str(room.folder / name)
