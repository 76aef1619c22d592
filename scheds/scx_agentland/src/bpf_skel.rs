// SPDX-License-Identifier: GPL-2.0-only
//! Skeleton of scx_rustland_core's kernel half.
#![allow(clippy::all)]

include!(concat!(env!("OUT_DIR"), "/bpf_skel.rs"));
