"""Finding ranges, putting quantisation into an ONNX graph, recognising it there, and ranking what it hurts."""
