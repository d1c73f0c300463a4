"""The figures of a course on neural style transfer, drawn by stylebeam.

`rows` lists what the course shows, `figure` says what a figure is, the other modules
draw. `examples/course.py` puts them on one page.
"""

import logging
import os

from transforms.steps.tensorflow_start import start_tensorflow

# Before a module in here imports it, so that its remarks are not in the way; nor what
# it says of many pictures of many sizes.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
start_tensorflow()
logging.getLogger("tensorflow").setLevel(logging.ERROR)
