"""The names of operators that compute nothing: views, operators that only move or make data, and queries.

An operator that is in none of these sets, has no formula and does not decompose is reported as unknown. In-place and
`out` variants follow from their functional form, see `classify`.
"""

from __future__ import annotations


def _names(text: str, namespace: str = "aten") -> frozenset[str]:
    return frozenset(f"{namespace}::{name}" for name in text.split())


# Results share the memory of an input. For some, such as `_unsafe_view`, torch's schema does not declare it.
VIEWS = _names(
    "_conj _fw_primal _indices _make_dual _neg_view _nested_get_values _nested_view_from_buffer "
    "_nested_view_from_jagged _reshape_alias _sparse_broadcast_to _unsafe_view _values alias as_strided "
    "ccol_indices col_indices crow_indices detach diagonal expand indices lift_fresh permute row_indices select "
    "slice slice_inverse split split_with_sizes squeeze swapaxes swapdims t transpose unbind unfold unsafe_chunk "
    "unsafe_split unsafe_split_with_sizes unsqueeze values view view_as_complex view_as_real"
) | _names(
    "as_strided broadcast_in_dim collapse_view conj imag real split_dim squeeze transpose view_of view_of_dtype",
    "prims",
)

_MOVES = _names(
    "_coalesce _coalesced _conj_copy _copy_from _copy_from_and_resize _fw_primal_copy _indices_copy "
    "_jagged_to_padded_dense_forward _lazy_clone _make_dual_copy _mkldnn_reshape _mkldnn_transpose _neg_view_copy "
    "_nested_from_padded _nested_from_padded_and_nested_example _nested_from_padded_tensor _nested_get_values_copy "
    "_nested_tensor_from_mask _nested_tensor_from_tensor_list _nested_view_from_buffer_copy "
    "_nested_view_from_jagged_copy _pack_padded_sequence _pad_packed_sequence _padded_dense_to_jagged_forward "
    "_pin_memory _reshape_alias_copy _reshape_copy _reshape_from_tensor _sparse_broadcast_to_copy "
    "_sparse_mask_projection _spdiags _stack _to_copy _to_dense _to_sparse _to_sparse_bsc _to_sparse_bsr "
    "_to_sparse_csc _to_sparse_csr _unsafe_index _unsafe_index_put _unsafe_masked_index "
    "_unsafe_masked_index_put_accumulate _values_copy alias_copy as_strided_copy as_strided_scatter block_diag "
    "broadcast_tensors cat ccol_indices_copy channel_shuffle clone col2im col_indices_copy combinations "
    "constant_pad_nd contiguous copy copy_sparse_to_sparse crow_indices_copy detach_copy diag_embed diagonal_copy "
    "diagonal_scatter embedding expand_copy flip fliplr flipud gather hstack im2col index index_copy index_fill "
    "index_put _index_put_impl index_select indices_copy lift lift_fresh_copy lu_unpack masked_fill masked_scatter "
    "masked_select max_unpool2d max_unpool3d meshgrid narrow_copy native_channel_shuffle pad permute_copy "
    "pixel_shuffle pixel_unshuffle put reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave "
    "replication_pad1d replication_pad2d replication_pad3d resize resize_as resize_as_sparse _resize_output roll "
    "rot90 row_indices_copy scatter select_copy select_scatter set slice_copy slice_scatter sparse_mask "
    "sparse_resize sparse_resize_and_clear split_copy split_with_sizes_copy squeeze_copy stack t_copy take "
    "take_along_dim to_mkldnn to_padded_tensor to_sparse transpose_copy tril triu unbind_copy unfold_copy "
    "unsqueeze_copy values_copy view_as_complex_copy view_as_real_copy view_copy vstack zero _foreach_clone "
    "_foreach_copy _foreach_zero"
)
_MAKES = _names(
    "_efficientzerotensor _new_zeros_with_same_feature_meta _sparse_compressed_tensor_with_dims "
    "_sparse_coo_tensor_with_dims _sparse_coo_tensor_with_dims_and_tensors arange empty empty_like empty_permuted "
    "empty_quantized _empty_affine_quantized _empty_per_channel_affine_quantized empty_strided eye fft_fftfreq "
    "fft_rfftfreq fill from_file full full_like linspace logspace new_empty new_empty_strided new_full new_ones "
    "new_zeros one_hot ones ones_like randint randint_like randperm range scalar_tensor sparse_compressed_tensor "
    "sparse_coo_tensor tensor tril_indices triu_indices vander zeros zeros_like _cudnn_init_dropout_state "
    "_make_dep_token"
)
# Sorting, searching, counting and comparing: these select values and compute none.
_CHOOSES = _names(
    "_convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo _histogramdd_bin_edges "
    "_histogramdd_from_bin_cts _histogramdd_from_bin_tensors _is_all_true _is_any_true _unique _unique2 all "
    "allclose any argmax argmin argsort bincount bucketize count_nonzero equal histc histogram isin kthvalue mode "
    "hash_tensor nonzero nonzero_static searchsorted sort topk unique_consecutive unique_dim unique_dim_consecutive"
)
# Between floating point and integers of a scale: types change, as by `to`.
_CONVERTS = _names(
    "_make_per_channel_quantized_tensor _make_per_tensor_quantized_tensor dequantize int_repr quantize_per_channel "
    "quantize_per_tensor quantize_per_tensor_dynamic fake_quantize_per_channel_affine_cachemask "
    "fake_quantize_per_tensor_affine_cachemask _fake_quantize_learnable_per_channel_affine "
    "_fake_quantize_learnable_per_tensor_affine _fake_quantize_per_tensor_affine_cachemask_tensor_qparams "
    "_convert_weight_to_int4pack _convert_weight_to_int4pack_for_cpu _dyn_quant_pack_4bit_weight _cslt_compress "
    "_to_sparse_semi_structured _sparse_semi_structured_apply _sparse_semi_structured_tile "
    "_cudnn_rnn_flatten_weight mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight"
)
# torch's quantization of exported programs (PT2E); `choose_qparams` reads the extremes, see `flops_without_macs`.
_EXPORTED_QUANTIZATION = _names(
    "convert_element_type dequantize_per_channel dequantize_per_channel_group dequantize_per_tensor "
    "dequantize_per_token fake_quant_per_channel quantize_per_channel quantize_per_channel_group quantize_per_tensor "
    "quantize_per_token",
    "quantized_decomposed",
)
_QUERIES = _names(
    "_assert_async _assert_scalar _assert_tensor_metadata _cslt_sparse_mm_search _dimI _dimV "
    "_functional_assert_async _functional_assert_scalar _functional_sym_constrain_range "
    "_functional_sym_constrain_range_for_size _fused_sdp_choice _has_compatible_shallow_copy_type "
    "_has_same_storage_numel _linalg_check_errors _local_scalar_dense _nested_compute_contiguous_strides_offsets "
    "_nested_get_jagged_dummy _nested_get_lengths _nested_get_max_seqlen _nested_get_min_seqlen _nested_get_offsets "
    "_nested_get_ragged_idx _nested_tensor_from_mask_left_aligned _nested_tensor_size "
    "_nested_tensor_storage_offsets _nested_tensor_strides _nnz _print _shape_as_tensor _use_cudnn_ctc_loss "
    "_use_miopen_ctc_loss _validate_compressed_sparse_indices dense_dim is_coalesced is_nonzero is_pinned "
    "is_same_size is_set_to item q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale "
    "q_zero_point qscheme record_stream sparse_dim sym_constrain_range sym_constrain_range_for_size "
    "sym_is_contiguous sym_numel sym_size sym_storage_offset sym_stride"
) | _names(
    "_sink_tokens item maximum_value minimum_value cat clone collapse copy_strided copy_to device_put empty_permuted "
    "empty_strided eq fill ge gt iota isfinite le lt ne reshape resize rev scalar_tensor where",
    "prims",
)
# torch tags these as pointwise, but they choose, compare or label.
NOT_ARITHMETIC = _names(
    "where masked_fill copy _conj_physical isnan isinf isneginf isposinf isfinite signbit eq ne lt le gt ge"
)
_PACKING = _names(
    "conv1d conv2d conv3d conv conv_transpose1d conv_transpose2d conv_transpose3d linear embedding_bag "
    "embedding_bag_byte embedding_bag_4bit embedding_bag_2bit",
    "quantized",
) | _names("qlinear", "sparse")
FREE = (
    _MOVES
    | _MAKES
    | _CHOOSES
    | _CONVERTS
    | _EXPORTED_QUANTIZATION
    | _QUERIES
    | NOT_ARITHMETIC
    | frozenset(f"{name}_{end}" for name in _PACKING for end in ("prepack", "unpack"))
    | frozenset(
        f"quantized::{kind}_{setting}"
        for kind in ("conv2d", "conv3d", "conv_transpose2d", "conv_transpose3d")
        for setting in ("stride", "padding", "output_padding", "dilation", "groups", "transpose")
    )
    | _names("cat cat_relu cat_out cat_relu_out linear_prepack_fp16 linear_unpack_fp16 embedding_byte", "quantized")
    | _names("embedding_4bit make_quantized_cell_params make_quantized_cell_params_dynamic", "quantized")
    | _names("make_quantized_cell_params_fp16", "quantized")
    | _names("conv2d_prepack conv3d_prepack linear_prepack", "_quantized")
    | _names("_record_function_enter _record_function_enter_new _record_function_exit", "profiler")
    | _names("roi_pool ps_roi_pool", "torchvision")
    | _names("int8_vectorwise_quant int8_vectorwise_dequant int8_double_quant int8_mm_dequant", "bitsandbytes")
    | _names("quantize_4bit dequantize_4bit quantize_blockwise dequantize_blockwise", "bitsandbytes")
    | _names("unpack_tensor_core_tiled_layout dequantize_tensor_core_tiled_layout", "torchao")
)
# All operators of these namespaces move data between processes.
COMMUNICATION = frozenset({"c10d", "_c10d_functional", "_c10d_functional_autograd", "_dtensor", "fsdp"})

# Gradients of operators without MACs have none either; FLOPs are counted for the forward pass only.
GRADIENTS = _names(
    "_adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward _ctc_loss_backward "
    "_fake_quantize_learnable_per_channel_affine_backward _fake_quantize_learnable_per_tensor_affine_backward "
    "_fused_rms_norm_backward _grid_sampler_2d_cpu_fallback_backward _log_softmax_backward_data "
    "_masked_softmax_backward _nested_select_backward _nested_sum_backward _prelu_kernel_backward "
    "_segment_reduce_backward _softmax_backward_data _sparse_log_softmax_backward_data "
    "_sparse_softmax_backward_data _sparse_sum_backward _thnn_fused_gru_cell_backward "
    "_thnn_fused_lstm_cell_backward_impl _upsample_bicubic2d_aa_backward _upsample_bilinear2d_aa_backward "
    "_upsample_lanczos2d_aa_backward _upsample_nearest_exact1d_backward _upsample_nearest_exact2d_backward "
    "_upsample_nearest_exact3d_backward _weight_norm_interface_backward adaptive_avg_pool3d_backward "
    "adaptive_max_pool2d_backward adaptive_max_pool3d_backward avg_pool2d_backward avg_pool3d_backward "
    "batch_norm_backward binary_cross_entropy_backward cudnn_batch_norm_backward cudnn_grid_sampler_backward "
    "diagonal_backward elu_backward embedding_dense_backward fractional_max_pool2d_backward "
    "fractional_max_pool3d_backward gelu_backward glu_backward grid_sampler_2d_backward grid_sampler_3d_backward "
    "hardshrink_backward hardsigmoid_backward hardswish_backward hardtanh_backward huber_loss_backward "
    "leaky_relu_backward log_sigmoid_backward masked_scatter_backward max_pool2d_backward "
    "max_pool2d_with_indices_backward max_pool3d_with_indices_backward miopen_batch_norm_backward mish_backward "
    "mkldnn_adaptive_avg_pool2d_backward mkldnn_max_pool2d_backward mkldnn_max_pool3d_backward mse_loss_backward "
    "multi_margin_loss_backward multilabel_margin_loss_backward native_batch_norm_backward native_dropout_backward "
    "native_group_norm_backward native_layer_norm_backward nll_loss2d_backward nll_loss_backward "
    "reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward replication_pad1d_backward "
    "replication_pad2d_backward replication_pad3d_backward rrelu_with_noise_backward select_backward slice_backward "
    "smooth_l1_loss_backward soft_margin_loss_backward softplus_backward softshrink_backward threshold_backward "
    "upsample_bicubic2d_backward upsample_bilinear2d_backward upsample_linear1d_backward "
    "upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward "
    "upsample_trilinear3d_backward _standard_gamma_grad _dirichlet_grad"
) | _names("_roi_align_backward _roi_pool_backward _ps_roi_align_backward _ps_roi_pool_backward", "torchvision")
