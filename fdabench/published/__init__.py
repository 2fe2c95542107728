"""The results that the authors of FDA published, with their sources, for comparison with results of fdabench.

M. Theologitis et al., Communication-Efficient Distributed Deep Learning via Federated Dynamic Averaging, EDBT 2025,
arXiv:2405.20988, and the per-epoch logs that they published with it. README.md says how they count.
"""
