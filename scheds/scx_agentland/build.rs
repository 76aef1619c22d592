// SPDX-License-Identifier: GPL-2.0-only
//! Writes the kernel half that scx_rustland_core brings, and its Rust side, into this folder (they
//! are in .gitignore), and builds them.

fn main() {
    scx_rustland_core::RustLandBuilder::new()
        .expect("a BPF toolchain (clang 18 or newer; name it in BPF_CLANG if it is not `clang`)")
        .build()
        .expect("the BPF object to build");
}
