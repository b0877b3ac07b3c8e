"""Threads, compiled loops, devices and ONNX sessions."""
