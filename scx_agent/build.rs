// SPDX-License-Identifier: GPL-2.0-only

fn main() {
    scx_cargo::BpfBuilder::new()
        .expect("a BPF toolchain (clang 18 or newer; name it in BPF_CLANG if it is not `clang`)")
        .enable_intf("../bpf/intf.h", "bpf_intf.rs")
        .enable_skel("../bpf/agent.bpf.c", "bpf")
        .build()
        .expect("the BPF object to build");
}
