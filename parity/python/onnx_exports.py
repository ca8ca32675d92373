"""Usage: onnx_exports.py DIR. Runs every NAME.onnx of a folder in ONNX Runtime on the inputs in NAME-*.safetensors and compares its
images with ours. Exit status 1 if one differs by more than 1e-4."""
import pathlib
import sys

import numpy
import onnxruntime
from safetensors.numpy import load_file

from report import Report


def main(folder: pathlib.Path) -> int:
    report = Report()
    for path in sorted(folder.glob("*.onnx")):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        for case in sorted(folder.glob(f"{path.stem}-*.safetensors")):
            tensors = load_file(case)
            inputs = {i.name: tensors[i.name] for i in session.get_inputs()}
            inputs["lengths"] = inputs["lengths"].astype(numpy.int32)
            for name, image in zip(names, session.run(names, inputs)):
                report.compare(case.stem, name, image, tensors[name])
    return report.end(f"ONNX Runtime {onnxruntime.__version__}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1])))
