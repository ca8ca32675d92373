"""Usage: onnx_exports.py DIR. Runs every NAME.onnx of a folder in ONNX Runtime on the inputs in NAME-*.safetensors and compares its
images with ours. Exit status 1 if one differs by more than 1e-4, images being in [-1, 1]."""
import pathlib
import sys

import numpy
import onnxruntime
from safetensors.numpy import load_file

TOLERANCE = 1e-4


def main(folder: pathlib.Path) -> int:
    failures, compared = 0, 0
    for path in sorted(folder.glob("*.onnx")):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        outputs = [output.name for output in session.get_outputs()]
        for case in sorted(folder.glob(f"{path.stem}-*.safetensors")):
            tensors = load_file(case)
            inputs = {i.name: tensors[i.name] for i in session.get_inputs()}
            inputs["lengths"] = inputs["lengths"].astype(numpy.int32)
            for name, image in zip(outputs, session.run(outputs, inputs)):
                difference = float(abs(image - tensors[name]).max()) if image.shape == tensors[name].shape else float("inf")
                good = difference <= TOLERANCE
                failures, compared = failures + (not good), compared + 1
                shape = "x".join(map(str, image.shape))
                print(f"{case.stem:<14}{name:<10}{shape:<14}{difference:9.1e}  {'ok' if good else 'FAILED'}")
    print(f"{compared} compared, {failures} failed; tolerance {TOLERANCE}, ONNX Runtime {onnxruntime.__version__}")
    return 1 if failures or not compared else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1])))
