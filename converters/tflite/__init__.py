"""What the TFLite family does between ONNX and a file: names, graphs, statistics' jobs; no inference runtime."""
