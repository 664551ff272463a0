"""What NVIDIA's runtimes take: TensorRT by its generations, its parser, and DeepStream's configuration."""
