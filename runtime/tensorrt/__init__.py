"""TensorRT on the device: engines built, checked and run, for TensorRT and TensorRT for RTX alike."""
