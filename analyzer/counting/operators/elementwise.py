"""FLOPs of operators that have no multiply-adds, and the operators that compute nothing.

What torch itself tags as pointwise needs no entry: one operation an output element.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod
from typing import Any

from analyzer.counting.operators.attention import NORM, SOFTMAX
from analyzer.counting.operators.call import Call, Formula, Shape, Work


def per_output(each: int) -> Formula:
    return lambda call: Work(flops=each * prod(call.outputs[0]))


def per_input(each: int) -> Formula:
    return lambda call: Work(flops=each * prod(_first_tensor(call)))


def _first_tensor(call: Call) -> Shape:
    first = call.args[0]
    return first[0] if first and isinstance(first[0], tuple) else first


def window(rank: int) -> Formula:
    """A pool of `rank` axes reads its window once an output element; a cubic window may be given as one number."""

    def work(call: Call) -> Work:
        kernel: Any = call.arg(1, "kernel_size")
        sizes = list(kernel) if isinstance(kernel, Sequence) else [kernel]
        size = sizes[0] ** rank if len(sizes) == 1 else prod(sizes)
        return Work(flops=prod(call.outputs[0]) * size)

    return work


def batch_norm(training: int) -> Formula:
    """2 an element where the statistics are given, 6 where they are taken from the batch."""
    return lambda call: Work(flops=(NORM if call.arg(training, "training") else 2) * prod(call.args[0]))


def dropout(training: int) -> Formula:
    """Mask and scale: 2 an element in training, nothing at inference."""
    return lambda call: Work(flops=2 * prod(call.args[0]) if call.arg(training, "train") and call.arg(1, "p") else 0)


def interpolation(taps: int) -> Formula:
    """A weighted sum of `taps` neighbours: as many products, one addition less."""
    return per_output(2 * taps - 1)


def fourier(real: str | None = None) -> Formula:
    """The radix-2 count, 5 n log2 n a transform of n points; half of that where its input or its output is real."""

    def work(call: Call) -> Work:
        signal = call.outputs[0] if real == "output" else call.args[0]
        points = prod(signal[axis] for axis in call.args[1])
        whole = 5 * prod(signal) * log2(points) if points > 1 else 0
        return Work(flops=round(whole / 2 if real else whole))

    return work


def scattered(index: int, name: str) -> Formula:
    """An addition for every element that is put somewhere."""
    return lambda call: Work(flops=prod(call.arg(index, name)))


def _named(formula: Formula, names: str) -> dict[str, Formula]:
    return {f"aten::{name}": formula for name in names.split()}


OPERATIONS: dict[str, Formula] = {
    **_named(window(1), "max_pool1d avg_pool1d max_pool1d_with_indices"),
    **_named(window(2), "max_pool2d avg_pool2d max_pool2d_with_indices mkldnn_max_pool2d fractional_max_pool2d"),
    **_named(window(3), "max_pool3d avg_pool3d max_pool3d_with_indices mkldnn_max_pool3d fractional_max_pool3d"),
    **_named(
        per_input(1),
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d "
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d sum mean nansum nanmean prod max min amax amin "
        "aminmax "
        "cumsum cumprod logcumsumexp cummax cummin trace median nanmedian nll_loss nll_loss_nd nll_loss2d "
        "nll_loss_forward nll_loss2d_forward binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss "
        "smooth_l1_loss huber_loss kl_div",
    ),
    **_named(
        per_input(2), "var std var_mean std_mean norm linalg_vector_norm linalg_norm frobenius_norm logsumexp renorm"
    ),
    **_named(batch_norm(5), "batch_norm native_batch_norm _native_batch_norm_legit _batch_norm_impl_index"),
    **_named(batch_norm(5), "cudnn_batch_norm miopen_batch_norm"),
    **_named(per_input(NORM), "_batch_norm_with_update instance_norm layer_norm native_layer_norm group_norm"),
    **_named(per_input(NORM), "native_group_norm rms_norm _fused_rms_norm"),
    **_named(per_input(2), "_native_batch_norm_legit_no_training _batch_norm_no_update"),
    **_named(per_output(SOFTMAX), "softmax log_softmax _softmax _log_softmax _masked_softmax _safe_softmax"),
    **_named(dropout(2), "dropout dropout_ feature_dropout feature_dropout_ alpha_dropout alpha_dropout_"),
    **_named(dropout(2), "feature_alpha_dropout feature_alpha_dropout_ native_dropout"),
    **_named(
        per_output(1),
        "floor_divide floor_divide_ hardswish hardswish_ glu prelu _prelu_kernel log_sigmoid log_sigmoid_forward "
        "addcmul addcdiv polar "
        "complex lerp_ rrelu_with_noise threshold_ bernoulli bernoulli_ outer ger logical_and logical_or "
        "clamp_ clip clip_ special_expm1 _weight_norm _weight_norm_interface normal_ uniform_ "
        "normal rand randn rand_like randn_like exponential_ multinomial",
    ),
    **_named(per_output(0), "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d"),
    **_named(per_output(0), "_upsample_nearest_exact2d _upsample_nearest_exact3d"),
    **_named(interpolation(2), "upsample_linear1d"),
    **_named(
        interpolation(4),
        "upsample_bilinear2d _upsample_bilinear2d_aa grid_sampler grid_sampler_2d _grid_sampler_2d_cpu_fallback",
    ),
    **_named(interpolation(8), "upsample_trilinear3d grid_sampler_3d"),
    **_named(interpolation(16), "upsample_bicubic2d _upsample_bicubic2d_aa"),
    **_named(scattered(3, "source"), "index_add index_add_"),
    **_named(scattered(2, "index"), "scatter_add scatter_add_ scatter_reduce scatter_reduce_"),
    **_named(per_output(3), "cross linalg_cross"),
    **_named(fourier("input"), "_fft_r2c"),
    **_named(fourier("output"), "_fft_c2r"),
    **_named(fourier(), "_fft_c2c"),
    "torchvision::roi_align": interpolation(4),
}

# Nothing is computed, but data moves or is made: counted in bytes.
FREE = frozenset(
    f"aten::{name}"
    for name in (
        "_assert_async _copy_from _has_compatible_shallow_copy_type _index_put_impl_ _local_scalar_dense "
        "_pack_padded_sequence _pad_packed_sequence _pin_memory _reshape_from_tensor _resize_output_ "
        "_shape_as_tensor _to_copy _to_dense _to_sparse _unique2 affine_grid_generator arange argmax argmin argsort "
        "as_strided_copy bincount histc block_diag broadcast_tensors bucketize cat channel_shuffle clone combinations "
        "constant_pad_nd contiguous copy copy_ count_nonzero detach_copy diag_embed dequantize embedding "
        "empty empty_like empty_permuted empty_strided equal expand_copy eye fill fill_ flip fliplr flipud "
        "full full_like gather hstack im2col col2im index index_copy index_copy_ index_fill index_fill_ "
        "index_put index_put_ index_select is_nonzero isin isneginf item kthvalue lift linspace logspace "
        "masked_fill masked_fill_ masked_scatter masked_scatter_ masked_select max_unpool2d meshgrid mode "
        "narrow_copy native_channel_shuffle new_empty new_empty_strided new_full new_ones new_zeros nonzero "
        "nonzero_static one_hot ones ones_like pad pixel_shuffle pixel_unshuffle permute_copy put "
        "quantize_per_tensor quantize_per_tensor_dynamic quantize_per_channel randint randint_like randperm "
        "range reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d "
        "replication_pad2d replication_pad3d resize_ resize_as_ roll rot90 scalar_tensor scatter scatter_ "
        "searchsorted select_scatter set_ slice_scatter sort split_copy squeeze_copy stack sym_size "
        "sym_stride sym_numel sym_storage_offset t_copy take take_along_dim tensor to_sparse topk "
        "transpose_copy tril tril_ tril_indices triu triu_ triu_indices unbind_copy unfold_copy unfold "
        "unique_consecutive unique_dim "
        "vander view_copy "
        "vstack where zero zero_ zeros zeros_like _unsafe_index _unsafe_index_put _efficientzerotensor "
        "_sparse_coo_tensor_with_dims_and_tensors sparse_coo_tensor _nested_tensor_from_mask _is_all_true "
        "_is_any_true any all"
    ).split()
)
# torch tags these as pointwise, but they choose or label and do not compute.
NOT_ARITHMETIC = frozenset(
    f"aten::{name}" for name in ("where", "masked_fill", "copy", "_conj_physical", "isnan", "isinf")
)


# Modules whose operators are an implementation detail: one formula for the module's call, in place of their sum.
# It sees the module's settings, its input's shape and its output's shape.
def local_response_norm(module: Any, source: Shape, output: Shape) -> Work:
    """torch takes it apart into a square, a padded 3-d average pool and four elementwise operators."""
    squares, sums, scale_add_power_divide = module.size, module.size - 1, 4
    return Work(flops=prod(output) * (squares + sums + scale_add_power_divide))


MODULES = {"LocalResponseNorm": local_response_norm}
