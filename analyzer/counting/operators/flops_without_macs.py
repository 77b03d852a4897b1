"""FLOPs of operators that have no MACs.

Operators with one operation per output element are in `one_flop_per_output`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod
from typing import Any

from analyzer.core.shapes import Shape
from analyzer.counting.operators.attention_and_recurrent import NORM, SOFTMAX
from analyzer.counting.operators.call import Call, Formula, Work, named


def per_output(each: int) -> Formula:
    return lambda call: Work(flops=each * prod(call.outputs[0]))


def per_input(each: int) -> Formula:
    return lambda call: Work(flops=each * prod(_first_tensor(call)))


def per_list_element(call: Call) -> Work:
    """`_foreach_*`: one operation per element of each tensor of a list."""
    return Work(flops=sum(map(prod, call.outputs)))


def _first_tensor(call: Call) -> Shape:
    first = call.args[0]
    return first[0] if first and isinstance(first[0], tuple) else first


def window(rank: int) -> Formula:
    """A pool of `rank` axes reads its window once per output element; a cubic window may be given as one number."""

    def work(call: Call) -> Work:
        kernel: Any = call.arg(1, "kernel_size")
        sizes = list(kernel) if isinstance(kernel, Sequence) else [kernel]
        size = sizes[0] ** rank if len(sizes) == 1 else prod(sizes)
        return Work(flops=prod(call.outputs[0]) * size)

    return work


def batch_norm(training: int) -> Formula:
    """2 per element where the statistics are given, 6 where they are taken from the batch."""
    return lambda call: Work(flops=(NORM if call.arg(training, "training") else 2) * prod(call.args[0]))


def dropout(training: int) -> Formula:
    """Mask and scale: 2 per element in training, nothing at inference."""
    return lambda call: Work(flops=2 * prod(call.args[0]) if call.arg(training, "train") and call.arg(1, "p") else 0)


def interpolation(taps: int) -> Formula:
    """A weighted sum of `taps` neighbors: as many products, one addition less."""
    return per_output(2 * taps - 1)


def fourier(real: str | None = None) -> Formula:
    """The radix-2 count, 5 n log2 n per transform of n points; half of that where its input or its output is real."""

    def work(call: Call) -> Work:
        signal = call.outputs[0] if real == "output" else call.args[0]
        points = prod(signal[axis] for axis in call.args[1])
        whole = 5 * prod(signal) * log2(points) if points > 1 else 0
        return Work(flops=round(whole / 2 if real else whole))

    return work


def scattered(index: int, name: str) -> Formula:
    """One addition per scattered element."""
    return lambda call: Work(flops=prod(call.arg(index, name)))


def ctc_loss(call: Call) -> Work:
    """The forward recursion (Graves et al. 2006): 7 operations per step, sample and state.

    A target of S labels has 2 S + 1 states with its blanks. Each state is the log-sum-exp of three predecessors, at 2
    operations each, plus its own log probability. Padded targets count as data.
    """
    steps, samples = call.args[0][0], call.args[0][1] if len(call.args[0]) == 3 else 1
    return Work(flops=7 * steps * (2 * prod(call.args[1]) + samples))


def nms(call: Call) -> Work:
    """Intersection over union of every pair of boxes: 2 sides and an area, 2 for the union, a quotient; 3 per box."""
    boxes = call.args[0][0]
    return Work(flops=6 * (boxes * (boxes - 1) // 2) + 3 * boxes)


def renorm_of_rows(call: Call) -> Work:
    """`embedding_renorm_`: a norm and a scale of each row that is looked up."""
    return Work(flops=3 * prod(call.args[1]) * call.args[0][-1])


OPERATIONS: dict[str, Formula] = {
    **named(window(1), "max_pool1d avg_pool1d max_pool1d_with_indices quantized_max_pool1d"),
    **named(window(2), "max_pool2d avg_pool2d max_pool2d_with_indices mkldnn_max_pool2d fractional_max_pool2d"),
    **named(window(2), "quantized_max_pool2d"),
    **named(window(3), "max_pool3d avg_pool3d max_pool3d_with_indices mkldnn_max_pool3d fractional_max_pool3d"),
    **named(window(3), "quantized_max_pool3d"),
    **named(window(1), "max_pool1d", "quantized"),
    **named(window(2), "max_pool2d", "quantized"),
    **named(
        per_input(1),
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d "
        "mkldnn_adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d sum mean nansum "
        "nanmean prod max min amax amin aminmax _aminmax cumsum cumprod logcumsumexp _logcumsumexp cummax cummin "
        "_cummax_helper _cummin_helper trace median nanmedian segment_reduce _sparse_sum _sparse_csr_sum "
        "_sparse_csr_prod nll_loss nll_loss_nd nll_loss2d nll_loss_forward nll_loss2d_forward binary_cross_entropy "
        "binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss huber_loss kl_div soft_margin_loss "
        "multi_margin_loss multilabel_margin_loss_forward _fused_moving_avg_obs_fq_helper _chunk_cat",
    ),
    **named(
        per_input(2),
        "var std var_mean std_mean norm native_norm linalg_vector_norm linalg_norm linalg__powsum frobenius_norm "
        "logsumexp renorm",
    ),
    **named(per_input(1), "sum prod amin amax", "prims"),
    **named(per_input(2), "var", "prims"),
    # A scale from the smallest and the largest element, as by `aminmax`.
    **named(
        per_input(1),
        "choose_qparams choose_qparams_symmetric choose_qparams_per_token choose_qparams_per_token_asymmetric",
        "quantized_decomposed",
    ),
    **named(per_input(3), "dist"),
    **named(batch_norm(5), "batch_norm native_batch_norm _native_batch_norm_legit _batch_norm_impl_index"),
    **named(batch_norm(5), "cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit_functional"),
    **named(per_input(NORM), "_batch_norm_with_update _batch_norm_with_update_functional instance_norm layer_norm"),
    **named(per_input(NORM), "native_layer_norm group_norm native_group_norm rms_norm _fused_rms_norm"),
    **named(per_input(2), "_native_batch_norm_legit_no_training _batch_norm_no_update quantized_batch_norm"),
    **named(per_input(2), "batch_norm batch_norm1d batch_norm2d batch_norm3d batch_norm_relu", "quantized"),
    **named(per_input(2), "batch_norm1d_relu batch_norm2d_relu batch_norm3d_relu", "quantized"),
    **named(per_input(NORM), "layer_norm group_norm instance_norm", "quantized"),
    **named(per_output(SOFTMAX), "softmax log_softmax _softmax _log_softmax _masked_softmax _safe_softmax"),
    **named(per_output(SOFTMAX), "_sparse_softmax _sparse_log_softmax _nested_tensor_softmax_with_shape"),
    **named(per_output(SOFTMAX), "softmax", "quantized"),
    **named(dropout(2), "dropout feature_dropout alpha_dropout feature_alpha_dropout native_dropout"),
    **named(
        per_output(1),
        "floor_divide ldexp hardswish glu prelu _prelu_kernel log_sigmoid log_sigmoid_forward polar complex "
        "rrelu_with_noise rrelu_with_noise_functional _add_relu _weight_norm _weight_norm_interface special_expm1 "
        "_masked_scale normal normal_functional uniform rand randn rand_like randn_like exponential bernoulli "
        "multinomial random poisson cauchy geometric log_normal binomial _standard_gamma _sample_dirichlet "
        "_fused_dropout bartlett_window blackman_window hamming_window hann_window kaiser_window",
    ),
    **named(
        per_output(1),
        "add add_relu add_out add_relu_out add_scalar add_scalar_relu add_scalar_out add_scalar_relu_out mul mul_relu "
        "mul_out mul_relu_out mul_scalar mul_scalar_relu mul_scalar_out mul_scalar_relu_out celu elu hardswish "
        "leaky_relu prelu relu6 sigmoid threshold",
        "quantized",
    ),
    **named(per_output(0), "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d"),
    **named(per_output(0), "_upsample_nearest_exact2d _upsample_nearest_exact3d"),
    **named(interpolation(2), "upsample_linear1d"),
    **named(interpolation(4), "upsample_bilinear2d _upsample_bilinear2d_aa grid_sampler grid_sampler_2d"),
    **named(interpolation(4), "_grid_sampler_2d_cpu_fallback cudnn_grid_sampler"),
    **named(interpolation(8), "upsample_trilinear3d grid_sampler_3d"),
    **named(interpolation(16), "upsample_bicubic2d _upsample_bicubic2d_aa"),
    **named(interpolation(36), "_upsample_lanczos2d_aa"),
    **named(scattered(3, "source"), "index_add index_reduce"),
    **named(scattered(2, "index"), "scatter_add scatter_reduce"),
    **named(scattered(0, "grad_in"), "unfold_backward"),
    **named(per_output(3), "cross linalg_cross"),
    **named(fourier("input"), "_fft_r2c"),
    **named(fourier("output"), "_fft_c2r"),
    **named(fourier(), "_fft_c2c"),
    **named(ctc_loss, "_ctc_loss ctc_loss _cudnn_ctc_loss miopen_ctc_loss"),
    **named(renorm_of_rows, "embedding_renorm"),
    **named(interpolation(4), "roi_align ps_roi_align", "torchvision"),
    **named(nms, "nms", "torchvision"),
    **named(
        per_list_element,
        " ".join(
            f"_foreach_{name}"
            for name in (
                "abs acos add addcdiv addcmul asin atan ceil clamp_max clamp_min cos cosh div erf erfc exp expm1 floor "
                "frac lerp lgamma log log10 log1p log2 maximum minimum mul neg pow reciprocal round rsqrt sigmoid sign "
                "sin sinh sqrt sub tan tanh trunc"
            ).split()
        ),
    ),
}


# Modules whose operators are an implementation detail: one formula for the module's call, in place of their sum.
# Arguments: the module's settings, its input's shape and its output's shape.
def local_response_norm(module: Any, source: Shape, output: Shape) -> Work:
    """torch takes it apart into a square, a padded 3-d average pool and four elementwise operators."""
    squares, sums, scale_add_power_divide = module.size, module.size - 1, 4
    return Work(flops=prod(output) * (squares + sums + scale_add_power_divide))


MODULES = {"LocalResponseNorm": local_response_norm}
