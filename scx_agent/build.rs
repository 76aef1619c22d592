// SPDX-License-Identifier: GPL-2.0-only

use std::path::PathBuf;

const TOOLCHAIN: &str = "a BPF toolchain (clang 18 or newer; name it in BPF_CLANG if it is not `clang`)";

fn main() {
    scx_cargo::BpfBuilder::new()
        .expect(TOOLCHAIN)
        .enable_intf("../bpf/intf.h", "bpf_intf.rs")
        .enable_skel("../bpf/agent.bpf.c", "bpf")
        .build()
        .expect("the BPF object to build");
    memory();
}

/// The object of the memory controller, which is no scheduler; it is compiled with the kernel's types that
/// the scheduler's builder has unpacked. That one has cargo look at all of bpf/.
fn memory() {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo to set OUT_DIR"));
    let clang = scx_cargo::ClangInfo::new().expect(TOOLCHAIN);
    let target = clang.kernel_target().expect("a machine that the kernel's types are known of");
    let headers = out.join("scx_utils-bpf_h");
    let mut flags = clang.determine_base_cflags().expect(TOOLCHAIN);
    flags.push(format!("-I{}", headers.join("arch").join(target).display()));
    flags.push(format!("-I{}", headers.join("bpf-compat").display()));
    libbpf_cargo::SkeletonBuilder::new()
        .source("../bpf/memory.bpf.c")
        .obj(out.join("memory.bpf.o"))
        .clang(&clang.clang)
        .clang_args(flags)
        .reference_obj(true)
        .build_and_generate(out.join("memory_skel.rs"))
        .expect("the memory controller's BPF object to build");
}
