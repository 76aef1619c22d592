// SPDX-License-Identifier: GPL-2.0-only
//! Compiles the policy headers of the kernel half for the host, behind `src/policy.c`.

fn main() {
    for file in ["src/policy.c", "../../bpf/intf.h", "../../bpf/rank.h", "../../bpf/classify.h"] {
        println!("cargo:rerun-if-changed={file}");
    }
    cc::Build::new()
        .file("src/policy.c")
        .include("../../bpf")
        .std("gnu11")
        .warnings_into_errors(true)
        .compile("policy");
}
