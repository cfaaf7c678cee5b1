# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""Tensors in parts, for as many threads as call: who comes next takes the next part, and the last one merges.

A tensor is cut at places that depend on its size only, each part has a row of its own, and these are
merged in order: the same bits, whichever thread took which part, however many there are. A tensor of one
part goes to its row at once.

Several threads call `reduce_parts` with the same job, an array of int64 that also holds the counters by
which they divide the work.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from gradprof.kernels.row import COUNTS, ROW_WORDS, WORD

from .basics import compiled, digest_of_sources, pointer_to, take_ticket
from .histogram import N_COUNTERS
from .loops import BFLOAT16, BLOCK, reduce_values

_LEAST, _USUAL = 1 << 14, 1 << 16
"""Values of a part, 7 and 27 us for one thread: below, clearing and folding the counters is felt."""
_MOST_PARTS = 64

JOB = {
    name: i
    for i, name in enumerate(
        (
            "next",  # the part to take next
            "n_done",
            "next_thread",  # the number of the thread that calls next
            "n_threads",  # for how many there are counters; who comes later does nothing
            "n_parts",
            "n_tensors",
            "replace",  # forget what the rows held; else merge
            "scaled",
            "factor",  # the bits of a float32
            "tensors",  # address of int64 [n_tensors, 6], see TENSOR
            "partials",  # address of int64 [n_parts, 144], of any content
            "counters",  # address of uint32 [n_threads, N_COUNTERS], zeros before and after
            "empty",  # address of int64 [144], the row that has seen nothing
            "bin_of_half",  # address of histogram.BIN_OF_HALF
            "threshold",  # see reduce_values
            "locate",
        )
    )
}
"""What a job says. From "tensors" on it stays as it is from call to call, unless memory moves."""
TENSOR = {name: i for i, name in enumerate(("address", "numel", "code", "row", "part", "first_part"))}
"""A line of the table of tensors: where it begins, how many values it has there without gaps, `FLOAT32` or
`BFLOAT16`, the address of its row, values of a part, and the number of its first part."""

_N_JOB, _N_TENSOR, _ROW_BYTES = len(JOB), len(TENSOR), ROW_WORDS * 8
_N_HALVES = 1 << 16
_NEXT, _DONE, _N_PARTS, _N_TENSORS = (JOB[k] for k in ("next", "n_done", "n_parts", "n_tensors"))
_NEXT_THREAD, _N_THREADS = JOB["next_thread"], JOB["n_threads"]
_TENSORS, _PARTIALS, _EMPTY = (JOB[k] for k in ("tensors", "partials", "empty"))
_COUNTERS, _BIN_OF_HALF = JOB["counters"], JOB["bin_of_half"]
_THRESHOLD, _FACTOR, _SCALED = (JOB[k] for k in ("threshold", "factor", "scaled"))
_LOCATE, _REPLACE = JOB["locate"], JOB["replace"]
_ADDRESS, _NUMEL, _CODE, _ROW, _PART, _FIRST_PART = TENSOR.values()
_N_OBS, _ARGMAX, _ABS_MAX, _ABS_MIN = (WORD[k] for k in ("n_obs", "argmax", "abs_max", "abs_min"))
_FIRST_COUNT, _LAST_COUNT = WORD["n_obs"], WORD["n_above"]
_FIRST_SUM, _LAST_SUM, _HIST = WORD["sum"], WORD["sq_small"], WORD["hist"]
assert len(COUNTS) == _LAST_COUNT - _FIRST_COUNT + 1


def part_of(numel: int) -> int:
    """Values of a part of a tensor, in whole blocks: a quarter of a small one, 1/64 of a large one."""
    wanted = max(min(numel // 4, _USUAL), numel // _MOST_PARTS)
    return max(_LEAST, -(-wanted // BLOCK) * BLOCK)


def n_parts_of(numel: int, part: int) -> int:
    """Parts of a tensor: one also if it is empty, because its row says that it was seen."""
    return max(1, -(-numel // part))


@compiled
def _words_at(address):
    return numba.carray(pointer_to(types.int64, address), ROW_WORDS)


@compiled
def _floats_at(address):
    return numba.carray(pointer_to(types.float64, address), ROW_WORDS)


@compiled
def _merge(words, floats, part_words, part_floats):
    """Merge the row of a part into the row of its tensor, all but `n_obs`."""
    if words[_ARGMAX] < 0 or part_floats[_ABS_MAX] > floats[_ABS_MAX]:
        words[_ARGMAX] = part_words[_ARGMAX]
    floats[_ABS_MAX] = max(floats[_ABS_MAX], part_floats[_ABS_MAX])
    floats[_ABS_MIN] = min(floats[_ABS_MIN], part_floats[_ABS_MIN])
    for i in range(_FIRST_COUNT + 1, _LAST_COUNT + 1):
        words[i] += part_words[i]
    for i in range(_FIRST_SUM, _LAST_SUM + 1):
        floats[i] += part_floats[i]
    for i in range(_HIST, ROW_WORDS):
        words[i] += part_words[i]


@compiled
def _merge_all(job, tensors, empty):
    """Every tensor of several parts, each in the order of its parts."""
    for t in range(job[_N_TENSORS]):
        tensor = tensors[t]
        if tensor[_NUMEL] <= tensor[_PART]:
            continue
        words, floats = _words_at(tensor[_ROW]), _floats_at(tensor[_ROW])
        if job[_REPLACE]:
            words[:] = empty
        words[_N_OBS] += 1
        n_parts = (tensor[_NUMEL] + tensor[_PART] - 1) // tensor[_PART]
        for part in range(tensor[_FIRST_PART], tensor[_FIRST_PART] + n_parts):
            address = job[_PARTIALS] + part * _ROW_BYTES
            _merge(words, floats, _words_at(address), _floats_at(address))


@compiled
def _tensor_of(tensors, part):
    """The last tensor whose first part is not behind `part`."""
    low, high = 0, len(tensors)
    while high - low > 1:
        middle = (low + high) // 2
        if tensors[middle, _FIRST_PART] <= part:
            low = middle
        else:
            high = middle
    return low


@compiled
def _reduce_part(job, tensor, part, empty, bin_of_half, factor, counters, scratch, bins):
    start = (part - tensor[_FIRST_PART]) * tensor[_PART]
    whole = tensor[_NUMEL] <= tensor[_PART]
    row = tensor[_ROW] if whole else job[_PARTIALS] + part * _ROW_BYTES
    words, floats = _words_at(row), _floats_at(row)
    if job[_REPLACE] or not whole:
        words[:] = empty
    reduce_values(
        tensor[_ADDRESS] + start * (2 if tensor[_CODE] == BFLOAT16 else 4),
        min(tensor[_PART], tensor[_NUMEL] - start),
        tensor[_CODE],
        words,
        floats,
        job[_THRESHOLD],
        factor,
        job[_SCALED] != 0,
        job[_LOCATE] != 0,
        bin_of_half,
        counters,
        scratch,
        bins,
    )
    if not whole and words[_ARGMAX] >= 0:
        words[_ARGMAX] += start


@compiled
def _take_parts(pointer):
    job = numba.carray(pointer, _N_JOB)
    here = job.ctypes.data
    thread = take_ticket(here + 8 * _NEXT_THREAD)
    if thread >= job[_N_THREADS]:
        return
    tensors = numba.carray(pointer_to(types.int64, job[_TENSORS]), (job[_N_TENSORS], _N_TENSOR))
    empty = _words_at(job[_EMPTY])
    bin_of_half = numba.carray(pointer_to(types.uint8, job[_BIN_OF_HALF]), _N_HALVES)
    counters_address = job[_COUNTERS] + thread * N_COUNTERS * 4
    counters = numba.carray(pointer_to(types.uint32, counters_address), N_COUNTERS)
    factor = job[_FACTOR : _FACTOR + 1].view(np.float32)[0]
    scratch = np.empty(BLOCK, np.float32)
    bins = np.empty(BLOCK, np.uint8)
    while True:
        part = take_ticket(here + 8 * _NEXT)
        if part >= job[_N_PARTS]:
            return
        tensor = tensors[_tensor_of(tensors, part)]
        _reduce_part(job, tensor, part, empty, bin_of_half, factor, counters, scratch, bins)
        if take_ticket(here + 8 * _DONE) == job[_N_PARTS] - 1:
            _merge_all(job, tensors, empty)


def _kept_on_disk(digest):
    """`reduce_parts`, compiled or found on disk.

    Numba looks at what a function closes over and at the file that it stands in, not at what it calls.
    """

    @numba.cfunc("void(CPointer(int64))", cache=True, error_model="numpy")
    def reduce_parts(pointer):
        """Reduce parts of a job until none is left. Any number of threads may call it, each once."""
        _ = digest
        _take_parts(pointer)

    return reduce_parts


reduce_parts = _kept_on_disk(digest_of_sources())
