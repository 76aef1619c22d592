// SPDX-License-Identifier: GPL-2.0-only
//! Exact tags: what agents say of themselves, through hooks that call `scx_agent call`, over a
//! socket that everybody may write to. Who speaks the kernel says (SO_PEERCRED), and for which
//! agent the scheduler knows: nobody can speak for another.

mod apply;
pub mod client;
pub mod hook;
mod limit;
mod message;
mod open;
mod server;

pub use apply::apply;
pub use message::{Message, What};
pub use open::OpenTags;
pub use server::Server;

/// The socket, in a folder of its own that can be bind-mounted into containers.
pub const SOCKET: &str = "/run/scx_agent/tags/tag.sock";
