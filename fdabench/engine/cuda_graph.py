"""A step's kernels as one CUDA graph: Python runs once, and a replay launches all of them.

A local step of LeNet-5 with ten workers takes a few hundred kernels of a few microseconds each. Python and torch.func
take longer to launch them than the GPU takes to run them; a replay takes no Python at all.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from fdabench.engine.arrays import BatchMetrics

WARM_UP_CALLS = 2
"""Calls that run without a graph: libraries choose kernels and allocate workspaces then, which a capture forbids."""


class GraphedFunction:
    """A function of two tensors that replays a CUDA graph of itself from the third call on.

    The graph runs the kernels of the capture, so the numbers are those of the function to the last bit. Shapes must be
    the same in each call. The function may also read and write other tensors in place; they must keep their memory.
    What Python decides in the function is decided once, at the capture.

    A function that cannot be captured, because it waits for the GPU or copies from the CPU, is called each time.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], BatchMetrics], device: torch.device) -> None:
        self._function, self._device = function, device
        self._calls = 0
        self._stream = torch.cuda.Stream(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, Tensor]
        self._output: BatchMetrics

    def __call__(self, first: Tensor, second: Tensor) -> BatchMetrics:
        """The function's output, which the next call overwrites; the inputs may be on the CPU."""
        if self._calls == 0:
            self._inputs = (torch.empty_like(first, device=self._device), torch.empty_like(second, device=self._device))
        for static, value in zip(self._inputs, (first, second), strict=True):
            # CUDA has read a source in pageable memory by the time that the call returns
            static.copy_(value, non_blocking=True)
        self._calls += 1
        if self._calls <= WARM_UP_CALLS:
            return self._on_side_stream()
        if self._calls == WARM_UP_CALLS + 1:
            self._graph = self._capture()
        if self._graph is None:
            return self._function(*self._inputs)
        self._graph.replay()
        return self._output

    def _on_side_stream(self) -> BatchMetrics:
        """Without a graph, on the stream of the capture: cuBLAS has a workspace for each stream."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            output = self._function(*self._inputs)
        current.wait_stream(self._stream)
        for tensor in output:
            tensor.record_stream(current)
        return output

    def _capture(self) -> torch.cuda.CUDAGraph | None:
        graph = torch.cuda.CUDAGraph()
        try:
            # the outer context puts the current stream back, which `torch.cuda.graph` does not after an error
            with (
                torch.cuda.stream(torch.cuda.current_stream(self._device)),
                torch.cuda.graph(graph, stream=self._stream),
            ):
                self._output = self._function(*self._inputs)
        except RuntimeError:
            # a capture runs no kernel, so nothing has been written
            return None
        return graph
