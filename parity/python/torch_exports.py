"""Usage: torch_exports.py DIR. Loads every folder NAME of state dicts with docs/pytorch/drgan.py, runs it on the inputs in
NAME-*.safetensors and compares its images with ours. Exit status 1 if one differs by more than 1e-4."""
import pathlib
import sys

import torch
from safetensors.torch import load_file

from report import Report

sys.path.append(str(pathlib.Path(__file__).parents[2] / "docs/pytorch"))
import drgan  # noqa: E402


@torch.inference_mode()
def main(folder: pathlib.Path) -> int:
    report = Report()
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        text_encoder, generator, _ = drgan.load(path)
        for case in sorted(folder.glob(f"{path.name}-*.safetensors")):
            x = load_file(case)
            text = text_encoder(x["tokens"], x["lengths"])
            for image in generator(x["noise"], x["condition_noise"], *text):
                name = f"image{image.shape[3]}"
                report.compare(case.stem, name, image, x[name])
    return report.end(f"PyTorch {torch.__version__}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1])))
