"""Print how many public functions and classes have documentation that says enough.

One of dtrain's own names needs more than a line (parameters, result, an example); a name that
PyTorch has needs a line with its counterpart, such as `(torch.relu)`.
"""

from __future__ import annotations

import importlib
import inspect

import dtrain

#: the packages of dtrain's own names, and those that mirror PyTorch's
OWN = ("checkpoint", "data", "distributed", "parallel", "train")
MIRRORED = ("", "autograd", "fft", "linalg", "nn", "nn.functional", "optim", "special", "utils")


def documented(package: str) -> tuple[list[str], list[str]]:
    """The public functions and classes of a package that say enough, and those that do not."""
    module = importlib.import_module(f"dtrain.{package}".rstrip("."))
    enough: list[str] = []
    too_little: list[str] = []
    for name, value in sorted(vars(module).items()):
        if name.startswith("_") or not (inspect.isfunction(value) or inspect.isclass(value)):
            continue
        if not value.__module__.startswith(dtrain.__name__):
            continue
        text = inspect.getdoc(value) or ""
        says_enough = "\n" in text or (package not in OWN and "(torch." in text)
        (enough if says_enough else too_little).append(name)
    return enough, too_little


def main() -> None:
    """Print one line a package, and the total."""
    total = good = 0
    for package in (*OWN, *MIRRORED):
        enough, too_little = documented(package)
        total, good = total + len(enough) + len(too_little), good + len(enough)
        missing = f": not {', '.join(too_little[:6])}" + (" ..." if len(too_little) > 6 else "")
        share = f"{len(enough)} of {len(enough) + len(too_little)}"
        print(f"dtrain.{package}".rstrip(".") + f" {share}" + missing * bool(too_little))
    print(f"documentation: {100 * good / total:.1f} % of {total} public functions and classes")


if __name__ == "__main__":
    main()
