"""Count sketches: random linear projections of long vectors to a few numbers (Charikar et al., 2002).

`monitors.sketch` estimates the norm of the mean drift from them.

Shape suffixes: K = workers, D = numbers of a vector, S = numbers of a segment, C = numbers of a chunk,
R = depth * width numbers of a sketch, P = chunks that are added to one bucket, padded.
"""

import warnings
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from fdabench.core.seeds import derive_seed, torch_generator

CHUNK = 16
"""Neighboring numbers that share one hash: they fill one cache line, which the processor loads as a whole."""
SEGMENT = 1 << 16
"""Numbers that are added to the sketches of all workers before the next are read, so that they stay in the cache."""


class CountSketchHashes(NamedTuple):
    """The bucket and the sign of each number of a vector."""

    signs: tuple[Tensor, ...]
    """The sign of each number, which is the same in all rows of the sketch, by segment of the vector."""
    segments: tuple[Tensor, ...]
    """A sparse matrix [R, chunks] for each segment of the vector: the first bucket and the sign of each chunk."""
    chunk: int
    """Numbers in one chunk: `CHUNK`, or `width` where that is smaller."""


@lru_cache(maxsize=8)
def draw_hashes(dim: int, depth: int, width: int, seed: int) -> CountSketchHashes:
    """Draw the signs and buckets of a sketch on the CPU. Workers and cells with the same seed share the result.

    Args:
        dim: the length D of the vectors to be sketched.
        depth: the number of rows of a sketch.
        width: the number of buckets in a row.
        seed: the seed of the draw; the same arguments give the same hashes.
    """
    chunk = min(CHUNK, width)
    generator = torch_generator(seed)
    sign_D = torch.randint(2, (dim,), generator=generator) * 2.0 - 1.0
    signs = sign_D.split(SEGMENT)
    sizes = [-(-len(sign_S) // chunk) for sign_S in signs]
    generators = [torch_generator(derive_seed("segment", {"sketch": seed, "segment": i})) for i in range(len(sizes))]
    matrices = (_place_chunks(size, depth, width, source) for size, source in zip(sizes, generators, strict=True))
    return CountSketchHashes(signs, tuple(matrices), chunk)


def _place_chunks(chunks: int, depth: int, width: int, generator: torch.Generator) -> Tensor:
    """A sparse matrix [R, chunks] with one sign in each column of each of `depth` times `width` rows."""
    bucket = torch.randint(width, (depth, chunks), generator=generator)
    sign = torch.randint(2, (depth, chunks), generator=generator) * 2.0 - 1.0
    row = bucket + width * torch.arange(depth)[:, None]
    order = row.flatten().argsort(stable=True)
    starts = torch.zeros(depth * width + 1, dtype=torch.int32)
    starts[1:] = torch.bincount(row.flatten(), minlength=depth * width).cumsum(0)
    with warnings.catch_warnings():
        # torch warns once that CSR is in beta, and in some versions that invariants are not checked
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(
            starts, (order % chunks).int(), sign.flatten()[order], (depth * width, chunks), check_invariants=False
        )


def count_sketches(u_KD: Tensor, depth: int, width: int, seed: int) -> Tensor:
    """Sketch each row. A sketch is linear in its row and depends on no other row of the matrix.

    For each of the `depth` rows of a sketch, a chunk of C neighboring numbers has a first bucket b and a sign, drawn
    independently. The number at position p of the chunk is added to bucket b - p (modulo `width`), multiplied by the
    sign of the chunk and by its own. A sparse product adds the chunks with the same first bucket element by element;
    sums over diagonals of the result are the buckets.

    Args:
        u_KD: the vectors, shape [K, D].
        depth: the number of rows of a sketch.
        width: the number of buckets in a row.
        seed: the seed of the hashes.

    Returns:
        Shape [K, R].
    """
    if not u_KD.is_cpu:
        return _sketches_at_once(u_KD, depth, width, seed)
    hashes = draw_hashes(u_KD.shape[1], depth, width, seed)
    # each product has its own operands, so the bits do not depend on a row's address or on the number of rows
    sums = [u_KD.new_zeros(depth * width, hashes.chunk) for _ in range(len(u_KD))]
    pieces = zip(u_KD.split(SEGMENT, 1), hashes.signs, hashes.segments, strict=True)
    for piece_KS, sign_S, matrix in pieces:
        signed = u_KD.new_empty(matrix.shape[1], hashes.chunk)
        used = signed.view(-1)[: len(sign_S)]
        signed.view(-1)[len(sign_S) :].zero_()  # the last chunk may be shorter
        for piece_S, sum_RC in zip(piece_KS, sums, strict=True):
            torch.mul(piece_S, sign_S, out=used)
            sum_RC.addmm_(matrix, signed)
    return torch.stack([_diagonals(sum_RC.view(depth, width, hashes.chunk)) for sum_RC in sums])


class PaddedRows(NamedTuple):
    """One of `CountSketchHashes.segments` as dense tensors, shape [R, P]; unused entries have the sign 0."""

    chunk_RP: Tensor
    sign_RP: Tensor


class GatherHashes(NamedTuple):
    """`CountSketchHashes` for an accelerator, which gathers chunks instead of computing a sparse product."""

    signs: tuple[Tensor, ...]
    """One for each segment, as `rows`."""
    rows: tuple[PaddedRows, ...]
    chunk: int


@lru_cache(maxsize=8)
def _gather_hashes(dim: int, depth: int, width: int, seed: int, device: torch.device) -> GatherHashes:
    hashes = draw_hashes(dim, depth, width, seed)
    rows = (PaddedRows(*(part.to(device) for part in _pad_rows(matrix))) for matrix in hashes.segments)
    return GatherHashes(tuple(sign_S.to(device) for sign_S in hashes.signs), tuple(rows), hashes.chunk)


def _pad_rows(matrix: Tensor) -> PaddedRows:
    starts, chunk_N, sign_N = matrix.crow_indices().long(), matrix.col_indices().long(), matrix.values()
    count_R = starts.diff()
    place_P = torch.arange(int(count_R.max()))
    used_RP = place_P < count_R[:, None]
    at_RP = (starts[:-1, None] + place_P).where(used_RP, 0)
    return PaddedRows(chunk_N[at_RP], sign_N[at_RP].where(used_RP, 0))


def _sketches_at_once(u_KD: Tensor, depth: int, width: int, seed: int) -> Tensor:
    """Equal `count_sketches` up to rounding, with few kernels for all workers: on a GPU, launches cost most.

    Gather and sum are deterministic; the sparse product of cuSPARSE is not guaranteed to be.
    """
    hashes = _gather_hashes(u_KD.shape[1], depth, width, seed, u_KD.device)
    workers, sums_KRC = len(u_KD), u_KD.new_zeros(())
    for piece_KS, sign_S, row in zip(u_KD.split(SEGMENT, 1), hashes.signs, hashes.rows, strict=True):
        missing = -len(sign_S) % hashes.chunk
        signed_KS = torch.nn.functional.pad(piece_KS * sign_S, (0, missing))
        chunk_KRPC = signed_KS.view(workers, -1, hashes.chunk)[:, row.chunk_RP]
        sums_KRC = sums_KRC + (chunk_KRPC * row.sign_RP[..., None]).sum(2)
    return _diagonals(sums_KRC.view(workers * depth, width, hashes.chunk)).view(workers, -1)


def _diagonals(x: Tensor) -> Tensor:
    """sum_p x[row, (b + p) mod width, p] for each row and bucket b, flattened; `x` has shape [depth, width, C]."""
    depth, width, chunk = x.shape
    extended = torch.cat([x, x[:, : chunk - 1]], 1)
    diagonals = extended.as_strided((depth, width, chunk), (extended.stride(0), chunk, chunk + 1))
    return diagonals.sum(2).flatten()
