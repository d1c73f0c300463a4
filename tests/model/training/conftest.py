import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def two_devices() -> tf.distribute.Strategy:
    """One strategy a process: TensorFlow mixes up the sums of two of them."""
    cpus = tf.config.list_logical_devices("CPU")
    if len(cpus) < 2:
        pytest.skip("the test process has one logical CPU")
    return tf.distribute.MirroredStrategy([cpu.name for cpu in cpus[:2]])
