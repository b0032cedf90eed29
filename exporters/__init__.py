"""From a trained model to an ONNX bundle. Needs the `train` extra and ONNX Runtime."""
