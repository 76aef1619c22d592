// SPDX-License-Identifier: GPL-2.0-only
//! Skeleton of the memory controller's programs, generated from `bpf/memory.bpf.c`.
#![allow(clippy::all)]

include!(concat!(env!("OUT_DIR"), "/memory_skel.rs"));
