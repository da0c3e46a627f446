"""Writes reference.safetensors with the reference implementation of the format: pip install safetensors numpy."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

tensors = {
    "weight": np.array([[1.5, -2.25, 3e38], [0.0, -0.0, 1e-45]], np.float32),
    "bias": np.array([np.pi, -np.inf], np.float64),
    "half": np.array([1.0, -0.5, 65504.0, 6e-8, np.inf], np.float16),
    "long": np.array([-(2**31), 0, 2**31 - 1], np.int64),
    "int": np.array([-7, 7], np.int32),
    "short": np.array([-300], np.int16),
    "byte": np.array([[1], [255]], np.uint8),
    "signed": np.array([-128, 127], np.int8),
    "flags": np.array([True, False, True]),
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "__proto__": np.array([4.0], np.float32),
    'quote " \\ newline \n tab \t é € 𝄞 \x7f': np.array([5.0], np.float32),
    "\ue000 before the clef in UTF-16, after it in UTF-8": np.array([6.0], np.float32),
    "𝄞": np.array([7.0], np.float32),
}
save_file(tensors, Path(__file__).with_name("reference.safetensors"), {"format": 'pt "é"'})
