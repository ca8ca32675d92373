"""A row per image that another runtime drew, beside ours."""

TOLERANCE = 1e-4  # images are in [-1, 1]


class Report:
    def __init__(self):
        self.failures = self.compared = 0

    def compare(self, case, name, image, ours):
        """Prints the largest difference of two images of one shape, given as arrays or tensors."""
        same_shape = tuple(image.shape) == tuple(ours.shape)
        difference = float(abs(image - ours).max()) if same_shape else float("inf")
        good = difference <= TOLERANCE  # false of NaN, too
        self.failures, self.compared = self.failures + (not good), self.compared + 1
        shape = "x".join(map(str, image.shape))
        print(f"{case:<14}{name:<10}{shape:<14}{difference:9.1e}  {'ok' if good else 'FAILED'}")

    def end(self, runtime):
        """The exit status."""
        print(f"{self.compared} compared, {self.failures} failed; tolerance {TOLERANCE}, {runtime}")
        return 1 if self.failures or not self.compared else 0
