# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Shared by the scripts beside it: what a build and the VM need, who builds, and the build itself.
# Sourced with `set -euo pipefail` in force; leaves the caller in the top folder of the checkout.

RUST_MIN=1.91
CLANG_MIN=18 # older ones cannot compile for BPF's -mcpu=v4

here=$PWD # where the user is: paths on the command line are relative to it
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
	say "$*"
	exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

home_of() { getent passwd "$1" | cut -d: -f6; }

[ -n "${HOME:-}" ] || HOME=$(home_of "$(id -u)")
export HOME

# Under sudo, the checkout's owner builds and runs the VM, which need no root: no file in it becomes
# root's, and the owner's Rust and cache are used. Otherwise empty.
builder=
if is_root && [ "${SUDO_UID:-0}" != 0 ] && [ "$(stat -c %u .)" = "$SUDO_UID" ]; then
	builder=$SUDO_USER
fi
builder_home=$HOME
[ -z "$builder" ] || builder_home=$(home_of "$builder")
PATH=$builder_home/.cargo/bin:$PATH:/usr/sbin:/sbin

as_builder() {
	if [ -z "$builder" ]; then
		"$@"
	else
		runuser -u "$builder" -- env HOME="$builder_home" USER="$builder" LOGNAME="$builder" "$@"
	fi
}

# Starts the calling script again as the builder, if that is somebody else. $@: its arguments.
continue_as_builder() {
	[ -n "$builder" ] || return 0
	cd "$here" || exit
	exec runuser -u "$builder" -- env HOME="$builder_home" USER="$builder" LOGNAME="$builder" \
		"$root/scripts/${0##*/}" "$@"
}

# True if version $1 is at least $2.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# True if cargo is there and new enough, with the variables in $@ set.
rust_works() {
	local version
	version=$(as_builder env RUSTUP_AUTO_INSTALL=0 "$@" cargo --version 2>/dev/null) || return 1
	version=${version#cargo }
	at_least "${version%% *}" "$RUST_MIN"
}

has_rustup() { as_builder rustup --version >/dev/null 2>&1; }

# Asked first, because old rustups download a toolchain that is merely named.
has_stable() { as_builder rustup toolchain list 2>/dev/null | grep '^stable' >/dev/null; }

# Finds a Rust that is new enough: the default one, else rustup's stable.
find_rust() {
	rust_works && return
	has_stable && rust_works RUSTUP_TOOLCHAIN=stable && export RUSTUP_TOOLCHAIN=stable
}

# True if $1 is a clang that is new enough.
clang_works() {
	local version
	version=$("$1" -dumpversion 2>/dev/null) && at_least "$version" "$CLANG_MIN"
}

# Finds such a clang and leaves it in BPF_CLANG, which the build reads.
find_clang() {
	local clang
	if [ -n "${BPF_CLANG:-}" ]; then
		clang_works "$BPF_CLANG" || die "BPF_CLANG=$BPF_CLANG is no clang $CLANG_MIN or newer"
		return 0
	fi
	for clang in clang-19 clang-20 clang-21 clang-18 clang; do
		if clang_works "$clang"; then
			export BPF_CLANG=$clang
			return 0
		fi
	done
	return 1
}

# True if bindgen will find a libclang.
has_libclang() {
	[ -n "${LIBCLANG_PATH:-}" ] || compgen -G '/usr/lib/llvm-*/lib/libclang[-.][0-9s]*' >/dev/null
}

# Runs a command, and says now and then that it still runs. $1: what to call it.
with_heartbeat() {
	local what=$1 began=$SECONDS status=0 beat
	shift
	(
		# Ends by itself if the script is killed; holds none of its files open.
		while sleep 50 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
			say "$what: $((SECONDS - began)) s"
		done
	) </dev/null &
	beat=$!
	"$@" || status=$?
	kill "$beat" 2>/dev/null || true
	wait "$beat" 2>/dev/null || true
	return "$status"
}

# Cargo's folder for what is built.
target_dir() {
	as_builder cargo metadata --no-deps --format-version 1 |
		sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# Builds every program, and puts those that a guest or a host runs into $bin_dir.
#
# agentload is made static: it is started for every tool call, and a call then costs a VM 17 ms
# instead of 35. Cargo has but one place for both kinds, and the next plain build puts the other one
# there, so the programs are copied.
build_all() {
	local target
	find_clang || die "no clang $CLANG_MIN or newer: run sudo scripts/setup"
	find_rust || die "no Rust $RUST_MIN or newer: run sudo scripts/setup"
	target=$(target_dir)
	bin_dir=$target/agents
	say "building with $BPF_CLANG and $(cargo --version) (some minutes the first time)"
	with_heartbeat "still building" cargo build --release --workspace --bins
	with_heartbeat "still building" cargo rustc --release -p agentload --bin agentload -- \
		-C target-feature=+crt-static -C relocation-model=static
	mkdir -p "$bin_dir"
	install -C "$target"/release/{scx_agent,scx_agentland,agentvm,agentbench,agentload,agentmodel} "$bin_dir"
}

# Where scripts/install puts things, and scripts/uninstall looks for them.
# shellcheck disable=SC2034 # used there
prefix=/usr/local settings=/etc/scx_agent unit=/usr/local/lib/systemd/system/scx_agent.service

has_systemd() { [ -d /run/systemd/system ]; }
