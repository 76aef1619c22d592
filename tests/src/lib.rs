// SPDX-License-Identifier: GPL-2.0-only
//! What the tests share: the policy functions of the kernel half, compiled for the host
//! ([`policy`]), and guests in which the scheduler runs ([`vm`], [`events`], [`calls`]).

pub mod calls;
pub mod clis;
pub mod documents;
pub mod events;
pub mod metrics;
pub mod vm;

pub use agentpolicy as policy;
