// SPDX-License-Identifier: GPL-2.0-only
//! Compiles the policy headers of the kernel half for the host, behind `src/policy.c`.

fn main() {
    println!("cargo:rerun-if-changed=src/policy.c");
    for header in ["intf.h", "rank.h", "classify.h", "share.h", "limit.h", "memory.h", "sandbox.h"] {
        println!("cargo:rerun-if-changed=../../bpf/{header}");
    }
    cc::Build::new()
        .file("src/policy.c")
        .include("../../bpf")
        .std("gnu11")
        .warnings_into_errors(true)
        .compile("policy");
}
