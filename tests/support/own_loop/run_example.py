"""Run the program that the first argument names.

PyPI's torchvision does not load beside a CPU-only torch, and accelerate, Lightning and transformers import it.
"""

import runpy
import sys

from fdabench.torchvision_compat import import_torchvision

if __name__ == "__main__":
    import_torchvision("transforms")
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
