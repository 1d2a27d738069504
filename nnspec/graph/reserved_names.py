"""Names that a layer or weight of a network cannot have: torch's modules have members of these names, or Python words.

`TOP` holds for the first part of a path, `INSIDE` for every other. A test holds them to the torch that is installed.
"""

from __future__ import annotations

from keyword import kwlist

INSIDE = frozenset(kwlist) | frozenset(
    """
    T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extra_repr
    float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia named_buffers
    named_children named_modules named_parameters parameters register_backward_hook register_buffer register_forward_hook
    register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict
    to to_empty train training type xpu zero_grad
    """.split()
)
#: `code`, which networks like to use, is not among these: a lowered network gives the layer of that name precedence.
TOP = INSIDE | frozenset(
    """
    add_submodule delete_all_unused_submodules delete_submodule graph meta print_readable recompile shape_env to_folder
    """.split()
)
