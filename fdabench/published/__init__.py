"""The results that the authors of FDA published, for comparison with results of fdabench. `analysis` compares them.

M. Theologitis et al., Communication-Efficient Distributed Deep Learning via Federated Dynamic Averaging, EDBT 2025,
arXiv:2405.20988, and the per-epoch logs that they published with it. README.md in this folder describes the files,
their sources and how they count.
"""
