"""Any strides, any layout: views, sparse and nested tensors, where the largest value stands, and memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import check
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import gradprof
from gradprof.kernels.torch.cpu import CHUNK

NAN = math.nan


def filled(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Random normal, 1 in 16 zero, 1 in 16 not finite, and its largest magnitude at several places."""
    random = torch.Generator().manual_seed(len(shape))
    tensor = torch.randn(shape, generator=random)
    kind = torch.randint(0, 32, shape, generator=random)
    for k, value in enumerate((0.0, -0.0, NAN, math.inf, 9.5, -9.5)):
        tensor = torch.where(kind == k, value, tensor)
    return tensor.to(dtype)


# --- strides -----------------------------------------------------------------------------------------

VIEWS = {
    "transposed": filled(37, 41).T,
    "permuted": filled(5, 6, 7, 8).permute(2, 0, 3, 1),
    "strided": filled(64, 65)[::2, 1::3],
    "strided in one dimension": filled(4097)[::2],
    "strided rows of 256": filled(2**14)[::2],
    "channels last": filled(3, 8, 5, 7).to(memory_format=torch.channels_last),
    "channels last 3d": filled(2, 3, 4, 5, 6).to(memory_format=torch.channels_last_3d),
    "expanded": filled(1, 33).expand(17, 33),
    "expanded inside": filled(4, 1, 5).expand(4, 9, 5),
    "expanded from one": torch.tensor(-2.5).expand(31, 4),
    "expanded and transposed": filled(33, 1).expand(33, 16).T,
    "overlapping": filled(100).unfold(0, 8, 3),
    "diagonal": filled(40, 50).diagonal(3),
    "offset": filled(300)[7:],
    "with dimensions of 1": filled(1, 30, 1, 4).transpose(1, 3),
    "0-dim": torch.tensor(-3.0),
    "0-dim of another": filled(10)[3],
    "flipped": filled(9, 9).flip(0, 1),
    "empty": filled(3, 0, 5),
    "empty, transposed": filled(0, 5).T,
    "real parts": torch.view_as_complex(filled(50, 2)).real,
    "negated lazily": torch.view_as_complex(filled(50, 2)).conj().imag,
    "negated lazily, one": torch.view_as_complex(filled(1, 2)).conj().imag,
    "negated lazily, float64": torch.view_as_complex(filled(50, 2).double()).conj().imag,
}


@pytest.mark.parametrize("tensor", VIEWS.values(), ids=VIEWS.keys())
def test_views(tensor: torch.Tensor) -> None:
    check(tensor)
    check(tensor.double() if tensor.dtype == torch.float32 else tensor.float())


def test_the_views_are_what_their_names_say() -> None:
    assert VIEWS["negated lazily"].is_neg()
    assert VIEWS["negated lazily, one"].is_neg()
    assert 0 in VIEWS["expanded"].stride()
    dense = {name for name, tensor in VIEWS.items() if tensor.is_contiguous()}
    assert dense == {
        "offset",
        "0-dim",
        "0-dim of another",
        "flipped",
        "empty",
        "empty, transposed",
        "negated lazily, one",
    }


LONG_VIEWS = {
    "transposed": filled(600, 700).T,
    "rows longer than a chunk": filled(CHUNK + 3, 2).T,
    "planes longer than a chunk": filled(2, 700, 500).transpose(1, 2),
    "strided": filled(3, 5, 2**16)[:, :, ::3],
    "strided in one dimension": filled(2 * CHUNK + 77)[::2],
    "expanded": filled(1, 1000).expand(400, 1000),
    "expanded from one": torch.tensor(0.1).expand(CHUNK + 1, 2),
    "channels last": filled(4, 64, 40, 40).to(memory_format=torch.channels_last),
    "bfloat16, transposed": filled(700, 400, dtype=torch.bfloat16).T,
    "float64, transposed": filled(700, 400, dtype=torch.float64).T,
}


@pytest.mark.parametrize("tensor", LONG_VIEWS.values(), ids=LONG_VIEWS.keys())
def test_views_of_several_chunks(tensor: torch.Tensor) -> None:
    assert tensor.numel() > CHUNK
    assert not tensor.is_contiguous()
    check(tensor)


def test_tensors_that_require_grad() -> None:
    leaf = filled(10, 10).nan_to_num(0.5).requires_grad_()
    inner = leaf * 2
    for tensor in (leaf, inner, torch.nn.Parameter(filled(5))):
        check(tensor)
    inner.sum().backward()
    assert leaf.grad is not None
    assert (leaf.grad == 2).all(), "measuring is not a part of the graph"


# --- where the largest value stands ------------------------------------------------------------------


def located(tensor: torch.Tensor) -> int:
    return gradprof.measure(tensor, locate=True).argmax


def test_the_first_in_logical_order_wins() -> None:
    tied = torch.tensor([[0.0, -5.0, 1.0], [5.0, 0.0, 1.0]])
    assert located(tied) == 1
    assert located(tied.T) == 1  # the 5 of column 0, which stands later in memory
    assert located(tied.flip(1)) == 1
    assert located(tied[:, ::2]) == 2
    assert located(torch.tensor(-2.0).expand(4, 5)) == 0


def test_the_first_of_several_chunks_wins() -> None:
    tensor = torch.zeros(3 * CHUNK)
    tensor[:CHUNK] = NAN
    assert located(tensor) == CHUNK
    tensor[[CHUNK + 3, CHUNK + 7, 2 * CHUNK + 1]] = torch.tensor([-4.0, 4.0, 4.0])
    assert located(tensor) == CHUNK + 3
    tensor[2 * CHUNK] = 4.5
    assert located(tensor) == 2 * CHUNK
    assert located(tensor.view(3, -1).T) == 2


def test_non_finite_values_are_passed_over() -> None:
    assert located(torch.tensor([NAN, math.inf, -1.0, 0.5])) == 2
    assert located(torch.tensor([NAN, 0.0, -0.0])) == 1


def test_nowhere_is_minus_one() -> None:
    for tensor in (torch.zeros(0), torch.tensor([NAN]), torch.tensor([math.inf, NAN])):
        assert located(tensor) == -1
    assert gradprof.measure(torch.ones(3)).argmax == -1


# --- sparse ------------------------------------------------------------------------------------------


def coo(indices: list[list[int]], values: Any, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.sparse_coo_tensor(
        torch.tensor(indices, dtype=torch.int64), torch.as_tensor(values), shape, check_invariants=True
    )


SPARSE = {
    "plain": coo([[0, 2, 2], [1, 0, 3]], [1.0, -3.0, 0.5], (3, 4)),
    "largest twice": coo([[2, 0, 1], [0, 3, 1]], [-3.0, 3.0, 3.0], (3, 4)),
    "duplicates": coo([[1, 1, 4, 1]], [1.0, 2.0, -2.5, 0.5], (6,)),
    "duplicates that cancel": coo([[1, 1, 3, 3]], [1.0, -1.0, math.inf, -math.inf], (5,)),
    "stored zeros": coo([[1, 3]], [0.0, -0.0], (5,)),
    "stored zero first": coo([[0, 3]], [0.0, 0.0], (5,)),
    "all stored": coo([[0, 1, 2]], [0.0, 0.0, 0.0], (3,)),
    "all stored but the last": coo([[0, 1]], [NAN, NAN], (3,)),
    "only NaN": coo([[0, 1, 2]], [NAN, NAN, math.inf], (3,)),
    "nothing stored": coo([[], []], torch.zeros(0), (2, 3)),
    "hybrid": coo([[3, 0]], [[1.0, NAN, -2.0], [0.0, 2.0, 0.5]], (4, 3)),
    "hybrid of two dense dimensions": coo([[1, 1]], filled(2, 3, 4), (2, 3, 4)),
    "hybrid zeros": coo([[0, 2]], [[NAN, 0.0], [0.0, 0.0]], (3, 2)),
    "hybrid, nothing finite stored": coo([[0, 1]], [[NAN, NAN], [NAN, math.inf]], (3, 2)),
    "hybrid, no dense element": coo([[1]], torch.zeros(1, 0), (3, 0)),
    "hybrid, nothing stored": coo([[]], torch.zeros(0, 2), (3, 2)),
    "empty": coo([[]], torch.zeros(0), (0,)),
    "requires grad": coo([[1]], [2.0], (3,)).requires_grad_(),
    **{
        f"{dtype}": coo([[1, 1, 4]], torch.tensor([1.5, 2.0, -8.0], dtype=dtype), (6,))
        for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.complex64)
    },
}


@pytest.mark.parametrize("tensor", SPARSE.values(), ids=SPARSE.keys())
def test_sparse_coo(tensor: torch.Tensor) -> None:
    check(tensor)
    check(tensor, threshold=0)
    check(tensor.coalesce(), threshold=3.0)


def test_sparse_coo_of_several_chunks() -> None:
    values = filled(CHUNK + 99).clamp(-8, 8)
    values[CHUNK + 50] = 8.5
    tensor = coo([list(range(1, 2 * (CHUNK + 99), 2))], values, (2 * (CHUNK + 99),))
    check(tensor)
    assert located(tensor) == 2 * (CHUNK + 50) + 1


def test_gradient_of_an_embedding() -> None:
    embedding = torch.nn.Embedding(50, 8, sparse=True)
    embedding(torch.tensor([3, 7, 3, 49])).square().sum().backward()
    grad = embedding.weight.grad
    assert grad is not None
    assert grad.is_sparse
    assert not grad.is_coalesced()
    check(grad)
    assert gradprof.measure(grad).n_zero == 47 * 8


@pytest.mark.filterwarnings("ignore:Sparse C.. tensor support is in beta:UserWarning")
@pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")
@pytest.mark.parametrize("layout", ["csr", "csc", "bsr", "bsc"])
def test_compressed_sparse(layout: str) -> None:
    dense = torch.zeros(6, 8)
    dense[1, 2], dense[4, 0], dense[4, 7], dense[5, 5] = -3, 3, NAN, 0.25
    blocks = [(2, 2)] if layout.startswith("b") else []
    tensor = getattr(dense, f"to_sparse_{layout}")(*blocks)
    check(tensor)
    check(tensor, threshold=0)
    empty = getattr(torch.zeros(6, 8), f"to_sparse_{layout}")(*blocks)
    check(empty)


# --- nested and others -------------------------------------------------------------------------------

PROTOTYPE = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")


@PROTOTYPE
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided], ids=str)
def test_nested(layout: torch.layout) -> None:
    parts = [filled(3, 5), filled(40, 5), filled(1, 5)]
    tensor = torch.nested.nested_tensor(parts, layout=layout)
    check(tensor)
    check(tensor.transpose(1, 2))
    assert gradprof.measure(tensor).numel == 44 * 5


def test_nested_that_shows_parts_of_its_values() -> None:
    padded = filled(4, 10)
    starts, lengths = torch.tensor([0, 1, 2, 3]), torch.tensor([2, 3, 1, 2])
    tensor = torch.nested.narrow(padded, 1, starts, lengths, layout=torch.jagged)
    assert tensor.values().numel() == 40
    check(tensor)
    assert gradprof.measure(tensor).numel == 8


def test_nested_gradient() -> None:
    tensor = torch.nested.nested_tensor([filled(3, 2), filled(5, 2)], layout=torch.jagged, requires_grad=True)
    (tensor * tensor).values().nan_to_num(0.0, 0.0, 0.0).sum().backward()
    assert tensor.grad is not None
    assert tensor.grad.is_nested
    check(tensor.grad)


@PROTOTYPE
def test_nested_of_nothing() -> None:
    assert gradprof.measure(torch.nested.nested_tensor([])) == gradprof.measure(torch.zeros(0))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no mkldnn")
def test_mkldnn() -> None:
    tensor = filled(4, 5)
    for locate in (False, True):
        assert gradprof.measure(tensor.to_mkldnn(), locate=locate) == gradprof.measure(tensor, locate=locate)


# --- memory ------------------------------------------------------------------------------------------


class LargestAllocation(TorchDispatchMode):
    """The largest memory, in bytes, behind any result of any torch operation, `known` apart."""

    def __init__(self, known: torch.Tensor) -> None:
        super().__init__()
        self._known = known.untyped_storage().data_ptr()
        self.nbytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **kwargs or {})
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage().data_ptr() != self._known:
                self.nbytes = max(self.nbytes, leaf.untyped_storage().nbytes())
        return result


LARGE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "contiguous": lambda base: base,
    "transposed": lambda base: base.view(2**10, 2**11).T,
    "transposed, long rows": lambda base: base.view(2**20, 2).T,
    "strided": lambda base: base[::2],
    "expanded": lambda base: base[:1024].expand(2048, 1024),
    "expanded and transposed": lambda base: base[:1024].expand(2048, 1024).T,
    "channels last": lambda base: base.view(8, 2**8, 2**5, 2**5).permute(0, 3, 1, 2),
    "with NaN": lambda base: torch.where(base < 0.5, NAN, base),
    "with zeros": lambda base: torch.where(base < 0.5, 0.0, base),
    "complex, transposed": lambda base: torch.view_as_complex(base.view(2**10, 2**10, 2)).conj().T,
    "bfloat16": lambda base: base.bfloat16(),
    "float64": lambda base: base.double(),
}


@pytest.mark.parametrize("locate", [False, True])
@pytest.mark.parametrize("view", LARGE.values(), ids=LARGE.keys())
def test_no_temporary_is_larger_than_a_chunk(
    view: Callable[[torch.Tensor], torch.Tensor], locate: bool
) -> None:
    tensor = view(torch.rand(2**21, generator=torch.Generator().manual_seed(0)))
    widest = torch.complex128.itemsize if tensor.is_complex() else torch.float64.itemsize
    with LargestAllocation(tensor) as allocation:
        gradprof.measure(tensor, locate=locate, backend="torch")
    assert CHUNK <= allocation.nbytes <= CHUNK * widest < tensor.numel() * tensor.itemsize
    with LargestAllocation(tensor) as allocation:
        gradprof.measure(tensor, locate=locate)
    assert allocation.nbytes <= CHUNK * widest


def test_largest_allocation_sees_a_full_copy() -> None:
    tensor = torch.rand(2**20)
    with LargestAllocation(tensor) as allocation:
        tensor.double().sum()
    assert allocation.nbytes == tensor.numel() * 8


def resident_peak() -> int:
    """The most memory that this process has held since the last reset, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def reset_resident_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        pytest.skip(f"cannot reset the peak of resident memory: {error}")


def test_resident_memory_does_not_grow_with_the_tensor() -> None:
    """2**26 elements that take no memory themselves; a copy would take 256 MB. Also what torch's
    operations allocate inside."""
    tensor = torch.rand(2**13, 1).expand(2**13, 2**13)
    gradprof.measure(tensor[:64])
    reset_resident_peak()
    before = resident_peak()
    stats = gradprof.measure(tensor)
    assert stats.numel == 2**26
    assert resident_peak() - before < 32 << 20
