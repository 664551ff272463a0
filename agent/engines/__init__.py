"""TensorRT engines built on this box: kept by what they fit, and made in the background."""
