"""Inference side by side with torch, its compilers, ONNX Runtime and OpenVINO."""
