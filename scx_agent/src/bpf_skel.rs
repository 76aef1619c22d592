// SPDX-License-Identifier: GPL-2.0-only
//! Skeleton of the kernel half, generated from `bpf/agent.bpf.c`.
#![allow(clippy::all)]

include!(concat!(env!("OUT_DIR"), "/bpf_skel.rs"));
