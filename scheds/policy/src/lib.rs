// SPDX-License-Identifier: GPL-2.0-only
//! The pure functions of `bpf/rank.h` and `bpf/classify.h`, as `policy.c` compiles them for the host:
//! for the tests, and for schedulers in user space.

use std::ffi::c_char;

/// `struct rank_knobs`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Knobs {
    pub delay_slope: u64,
    pub delay_cap_ns: u64,
    pub long_service_ns: u64,
    pub width_bonus_ns: u64,
    pub quantum_min_ns: u64,
    pub quantum_max_ns: u64,
    pub debt_knee_ns: u64,
    pub debt_burst_ns: u64,
    pub qos_lead_ns: u64,
    pub qos_wait_ns: u64,
}

/// `struct agent_room`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub kept_pages: u64,
    pub budget_pages: u64,
    /// An `enum agent_protection`.
    pub protection: u32,
    pub unused: u32,
}

/// What the scheduler has without options.
pub const DEFAULT_KNOBS: Knobs = Knobs {
    delay_slope: 4,
    delay_cap_ns: 6_000_000_000,
    long_service_ns: 1_500_000_000,
    width_bonus_ns: 200_000_000,
    quantum_min_ns: 20_000_000,
    quantum_max_ns: 8_000_000_000,
    debt_knee_ns: 100_000_000,
    debt_burst_ns: 500_000_000,
    qos_lead_ns: 1_000_000_000,
    qos_wait_ns: 8_000_000_000,
};

/// `enum agent_qos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Qos {
    Standard = 0,
    Interactive = 1,
    Background = 2,
}

/// `enum agent_role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Role {
    None = 0,
    Framework = 1,
    Tool = 2,
    Helper = 3,
}

/// `enum agent_rule`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Rule {
    Inherit = 0,
    Entry = 1,
    Comm = 2,
    Reexec = 3,
    Session = 4,
    Shell = 5,
    Outside = 6,
    Parent = 7,
    Mark = 8,
    Job = 9,
    Program = 10,
    Unmarked = 11,
    Commands = 12,
    Relaunch = 13,
    Left = 14,
}

/// `enum exec_mark`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Mark {
    #[default]
    None = 0,
    Tool = 1,
    Own = 2,
}

/// `struct exec_facts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Facts {
    pub role: Role,
    pub mark: Mark,
    pub forked: bool,
    pub direct: bool,
    pub entered: bool,
    pub known_comm: bool,
    pub parent_known: bool,
    pub generic_comm: bool,
    pub same_program: bool,
    pub shell: bool,
    pub command: bool,
    pub new_session: bool,
    pub parent_init: bool,
    pub of_commands: bool,
    pub expect_mark: bool,
}

impl Facts {
    /// Facts of a task with `role`, none of which holds.
    pub fn of(role: Role) -> Facts {
        Facts {
            role,
            mark: Mark::None,
            forked: false,
            direct: false,
            entered: false,
            known_comm: false,
            parent_known: false,
            generic_comm: false,
            same_program: false,
            shell: false,
            command: false,
            new_session: false,
            parent_init: false,
            of_commands: false,
            expect_mark: false,
        }
    }
}

/// `struct found_facts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Found {
    pub parent_role: Role,
    pub frameworks: u32,
    pub known_comm: bool,
    pub shell: bool,
    pub like_parent: bool,
    pub new_session: bool,
    pub parent_init: bool,
}

/// `struct exec_verdict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub role: Role,
    pub rule: Rule,
    pub new_call: bool,
    /// It is a shell that reads commands.
    pub commands: bool,
}

/// How a match of a glob ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobEnd {
    /// None: not within the steps allowed.
    pub matches: Option<bool>,
    /// Steps taken.
    pub steps: u32,
}

#[derive(Default)]
#[repr(C)]
struct RawVerdict {
    role: u32,
    rule: u32,
    new_call: bool,
    commands: bool,
}

extern "C" {
    fn policy_delay_ns(service_ns: u64, k: *const Knobs) -> u64;
    fn policy_quantum_ns(cpu_ns: u64, is_long: bool, round_ns: u64, k: *const Knobs) -> u64;
    fn policy_wide_ns(weighted_ns: u64, nr_runnable: u32) -> u64;
    fn policy_long_place(base_ns: u64, nr_runnable: u32, k: *const Knobs) -> u64;
    fn policy_qos_key(key: u64, qos: Qos, k: *const Knobs) -> u64;
    fn policy_qos_place(place: u64, qos: Qos, k: *const Knobs) -> u64;
    fn policy_long_key(now: u64, qos: Qos, k: *const Knobs) -> u64;
    fn policy_long_wait_ns(qos: Qos, k: *const Knobs) -> u64;
    fn policy_wait_bound_ns(k: *const Knobs) -> u64;
    fn policy_waits_since_ns(queued_ns: u64, free_ns: u64) -> u64;
    fn policy_has_aged(now: u64, queued_ns: u64, free_ns: u64, qos: Qos, k: *const Knobs) -> bool;
    fn policy_aged_turn_ns(turn_ns: u64, round_ns: u64, k: *const Knobs) -> u64;
    fn policy_aged_base(base_ns: u64, now: u64, wait_ns: u64) -> u64;
    fn policy_is_long(service_ns: u64, k: *const Knobs) -> bool;
    static policy_max_width: u32;
    fn policy_charge_ns(delta_ns: u64, service_ns: u64, nr_parallel: u32, k: *const Knobs) -> u64;
    fn policy_service_ns(service_ns: u64, debt_ns: u64, k: *const Knobs) -> u64;
    fn policy_weighted_ns(delta_ns: u64, weight: u32) -> u64;
    fn policy_time_ns(elapsed_ns: u64, rate: u64) -> u64;
    static policy_cpu: u64;
    fn policy_share_weight(weight: u32, idle: bool) -> u32;
    fn policy_share_weight_of(weight: u32, own: u32) -> u32;
    fn policy_share_of(rate: u64, weight: u64, sum: u64) -> u64;
    fn policy_capacity(ran_ns: u64, elapsed_ns: u64, cpus: u32) -> u64;
    fn policy_toll_service_ns(service_ns: u64, rate: u64, rates: u64, nr: u32) -> u64;
    fn policy_call_quantum_ns(quantum_ns: u64, rate: u64, rates: u64, nr: u32) -> u64;
    fn policy_clock_ns(delta_ns: u64, rate: u64) -> u64;
    fn policy_turn(now: u64, clock: u64, rate: u64, slack_ns: u64, longest_ns: u64, credit_ns: u64) -> u64;
    fn policy_limit_ns(us: u64) -> u64;
    static policy_limit_none_ns: u64;
    fn policy_limit_periods(now: u64, next_ns: u64, period_ns: u64) -> u64;
    fn policy_limit_refill_ns(budget_ns: i64, periods: u64, quota_ns: u64, burst_ns: u64) -> u64;
    fn policy_limit_slice_ns(budget_ns: i64, slice_ns: u64) -> u64;
    fn policy_limit_released(budget_ns: i64, slice_ns: u64) -> u64;
    fn policy_memory_protects(room: *const Room, usage_pages: u64, level: u32) -> bool;
    fn policy_memory_delay_ms(room: *const Room, usage_pages: u64) -> u32;
    static policy_memory_delay_min_ms: u32;
    static policy_memory_delay_max_ms: u32;
    fn policy_before(a: u64, b: u64) -> bool;
    fn policy_comm_equal(a: *const c_char, b: *const c_char) -> bool;
    fn policy_glob(glob: *const c_char, name: *const c_char, max_steps: u32, steps: *mut u32) -> u32;
    static policy_glob_max_steps: u32;
    static policy_glob_len: u32;
    static policy_name_len: u32;
    fn policy_exec(f: *const Facts, v: *mut RawVerdict);
    fn policy_found(f: *const Found, v: *mut RawVerdict);
    fn policy_comm_is(comm: *const c_char) -> u32;
    fn policy_word_hash(text: *const c_char) -> u64;
    fn policy_shell_command(args: *const c_char, nr: u32) -> bool;
    fn policy_env_mark(var: *const c_char, len: u32) -> u32;
    fn policy_sandbox_executable(name: *const c_char) -> bool;
    fn policy_sandbox_phase(phase: u32, ran_ns: u64, tick_ns: u64, quiet: *mut u32) -> u32;
    static policy_sandbox_name_len: u32;
    static policy_sandbox_quiet_ticks: u32;
    static policy_piece_len: u32;
}

// SAFETY, for all calls below: the functions are pure; pointers are to live values of the layout
// that the C side declares.

/// `rank_delay_ns()`.
pub fn delay_ns(service_ns: u64, k: &Knobs) -> u64 {
    unsafe { policy_delay_ns(service_ns, k) }
}

/// `rank_quantum_ns()`.
pub fn quantum_ns(cpu_ns: u64, is_long: bool, round_ns: u64, k: &Knobs) -> u64 {
    unsafe { policy_quantum_ns(cpu_ns, is_long, round_ns, k) }
}

/// `rank_wide_ns()`.
pub fn wide_ns(weighted_ns: u64, nr_runnable: u32) -> u64 {
    unsafe { policy_wide_ns(weighted_ns, nr_runnable) }
}

/// `rank_long_place()`.
pub fn long_place(base_ns: u64, nr_runnable: u32, k: &Knobs) -> u64 {
    unsafe { policy_long_place(base_ns, nr_runnable, k) }
}

/// `rank_qos_key()`.
pub fn qos_key(key: u64, qos: Qos, k: &Knobs) -> u64 {
    unsafe { policy_qos_key(key, qos, k) }
}

/// `rank_qos_place()`.
pub fn qos_place(place: u64, qos: Qos, k: &Knobs) -> u64 {
    unsafe { policy_qos_place(place, qos, k) }
}

/// `rank_long_key()`.
pub fn long_key(now: u64, qos: Qos, k: &Knobs) -> u64 {
    unsafe { policy_long_key(now, qos, k) }
}

/// `rank_long_wait_ns()`.
pub fn long_wait_ns(qos: Qos, k: &Knobs) -> u64 {
    unsafe { policy_long_wait_ns(qos, k) }
}

/// `rank_wait_bound_ns()`.
pub fn wait_bound_ns(k: &Knobs) -> u64 {
    unsafe { policy_wait_bound_ns(k) }
}

/// `rank_waits_since_ns()`.
pub fn waits_since_ns(queued_ns: u64, free_ns: u64) -> u64 {
    unsafe { policy_waits_since_ns(queued_ns, free_ns) }
}

/// `rank_has_aged()`.
pub fn has_aged(now: u64, queued_ns: u64, free_ns: u64, qos: Qos, k: &Knobs) -> bool {
    unsafe { policy_has_aged(now, queued_ns, free_ns, qos, k) }
}

/// `rank_aged_turn_ns()`.
pub fn aged_turn_ns(turn_ns: u64, round_ns: u64, k: &Knobs) -> u64 {
    unsafe { policy_aged_turn_ns(turn_ns, round_ns, k) }
}

/// `rank_aged_base()`.
pub fn aged_base(base_ns: u64, now: u64, wait_ns: u64) -> u64 {
    unsafe { policy_aged_base(base_ns, now, wait_ns) }
}

/// `rank_is_long()`.
pub fn is_long(service_ns: u64, k: &Knobs) -> bool {
    unsafe { policy_is_long(service_ns, k) }
}

/// Widths beyond this count as this.
pub fn max_width() -> u32 {
    unsafe { policy_max_width }
}

/// `rank_charge_ns()`.
pub fn charge_ns(delta_ns: u64, service_ns: u64, nr_parallel: u32, k: &Knobs) -> u64 {
    unsafe { policy_charge_ns(delta_ns, service_ns, nr_parallel, k) }
}

/// `rank_service_ns()`.
pub fn service_ns(service_ns: u64, debt_ns: u64, k: &Knobs) -> u64 {
    unsafe { policy_service_ns(service_ns, debt_ns, k) }
}

/// `rank_weighted_ns()`.
pub fn weighted_ns(delta_ns: u64, weight: u32) -> u64 {
    unsafe { policy_weighted_ns(delta_ns, weight) }
}

/// `share_time_ns()`: CPU time that `rate` is in `elapsed_ns`.
pub fn time_ns(elapsed_ns: u64, rate: u64) -> u64 {
    unsafe { policy_time_ns(elapsed_ns, rate) }
}

/// The rate of `cpus` CPUs.
pub fn cpus_rate(cpus: u32) -> u64 {
    u64::from(cpus) * unsafe { policy_cpu }
}

/// `share_weight()`.
pub fn share_weight(weight: u32, idle: bool) -> u32 {
    unsafe { policy_share_weight(weight, idle) }
}

/// `share_weight_of()`.
pub fn share_weight_of(weight: u32, own: u32) -> u32 {
    unsafe { policy_share_weight_of(weight, own) }
}

/// `share_call_quantum_ns()` of a group with `rate` among `nr` that have `rates` together.
pub fn call_quantum_ns(quantum_ns: u64, rate: u64, rates: u64, nr: u32) -> u64 {
    unsafe { policy_call_quantum_ns(quantum_ns, rate, rates, nr) }
}

/// `share_of()`: the part of `rate` for one with `weight` of `sum`.
pub fn share_of(rate: u64, weight: u64, sum: u64) -> u64 {
    unsafe { policy_share_of(rate, weight, sum) }
}

/// `share_capacity()`.
pub fn capacity(ran_ns: u64, elapsed_ns: u64, cpus: u32) -> u64 {
    unsafe { policy_capacity(ran_ns, elapsed_ns, cpus) }
}

/// What `service_ns` counts as by `share_toll()`.
pub fn toll_service_ns(service_ns: u64, rate: u64, rates: u64, nr: u32) -> u64 {
    unsafe { policy_toll_service_ns(service_ns, rate, rates, nr) }
}

/// `share_clock_ns()` at the pace of `rate`.
pub fn clock_ns(delta_ns: u64, rate: u64) -> u64 {
    unsafe { policy_clock_ns(delta_ns, rate) }
}

/// `share_turn()` at the pace of `rate`.
pub fn turn(now: u64, clock: u64, rate: u64, slack_ns: u64, longest_ns: u64, credit_ns: u64) -> u64 {
    unsafe { policy_turn(now, clock, rate, slack_ns, longest_ns, credit_ns) }
}

/// `limit_ns()`; None: no limit.
pub fn limit_ns(us: u64) -> Option<u64> {
    let ns = unsafe { policy_limit_ns(us) };
    Some(ns).filter(|&ns| ns < unsafe { policy_limit_none_ns })
}

/// `limit_periods()`.
pub fn limit_periods(now: u64, next_ns: u64, period_ns: u64) -> u64 {
    unsafe { policy_limit_periods(now, next_ns, period_ns) }
}

/// `limit_refill_ns()`.
pub fn limit_refill_ns(budget_ns: i64, periods: u64, quota_ns: u64, burst_ns: u64) -> u64 {
    unsafe { policy_limit_refill_ns(budget_ns, periods, quota_ns, burst_ns) }
}

/// `limit_slice_ns()`.
pub fn limit_slice_ns(budget_ns: i64, slice_ns: u64) -> u64 {
    unsafe { policy_limit_slice_ns(budget_ns, slice_ns) }
}

/// `limit_released()`.
pub fn limit_released(budget_ns: i64, slice_ns: u64) -> u64 {
    unsafe { policy_limit_released(budget_ns, slice_ns) }
}

/// `memory_protects()`.
pub fn memory_protects(room: &Room, usage_pages: u64, level: u32) -> bool {
    unsafe { policy_memory_protects(room, usage_pages, level) }
}

/// `memory_delay_ms()`.
pub fn memory_delay_ms(room: &Room, usage_pages: u64) -> u32 {
    unsafe { policy_memory_delay_ms(room, usage_pages) }
}

/// The shortest and the longest delay there is, in ms.
pub fn memory_delays_ms() -> (u32, u32) {
    unsafe { (policy_memory_delay_min_ms, policy_memory_delay_max_ms) }
}

/// `rank_before()`.
pub fn before(a: u64, b: u64) -> bool {
    unsafe { policy_before(a, b) }
}

/// `comm_equal()`, of two comms as the kernel keeps them.
pub fn comm_equal(a: &[u8; 16], b: &[u8; 16]) -> bool {
    unsafe { policy_comm_equal(a.as_ptr().cast(), b.as_ptr().cast()) }
}

/// The longest glob component and the longest cgroup name, in bytes.
pub fn glob_lengths() -> (usize, usize) {
    unsafe { (policy_glob_len as usize - 1, policy_name_len as usize - 1) }
}

/// The kernel half's bound on the steps of a match.
pub fn glob_max_steps() -> u32 {
    unsafe { policy_glob_max_steps }
}

/// Matches `name` against `glob`, one path component each, in at most `max_steps`.
///
/// # Panics
/// If one of them is longer than the kernel half takes.
pub fn glob(glob: &str, name: &str, max_steps: u32) -> GlobEnd {
    let (max_glob, max_name) = glob_lengths();
    assert!(glob.len() <= max_glob && name.len() <= max_name, "too long: {glob:?} {name:?}");
    match_bytes(glob.as_bytes(), name.as_bytes(), max_steps)
}

/// [`glob`], for what is known to be short enough.
fn match_bytes(glob: &[u8], name: &[u8], max_steps: u32) -> GlobEnd {
    let (max_glob, max_name) = glob_lengths();
    let (mut g, mut n) = (vec![0u8; max_glob + 1], vec![0u8; max_name + 1]);
    g[..glob.len()].copy_from_slice(glob);
    n[..name.len()].copy_from_slice(name);
    let mut steps = 0;
    let raw = unsafe { policy_glob(g.as_ptr().cast(), n.as_ptr().cast(), max_steps, &mut steps) };
    let matches = match raw {
        0 => None,
        1 => Some(true),
        _ => Some(false),
    };
    GlobEnd { matches, steps }
}

/// True if a cgroup's name matches one component of a glob, both as the kernel half sees them: at
/// most as long as [`glob_lengths`] says, what is beyond that is not looked at.
pub fn component_matches(glob: &[u8], name: &[u8]) -> bool {
    let (max_glob, max_name) = glob_lengths();
    match_bytes(&glob[..glob.len().min(max_glob)], &name[..name.len().min(max_name)], glob_max_steps())
        .matches
        == Some(true)
}

/// `classify_exec()`.
pub fn exec(facts: &Facts) -> Verdict {
    let mut v = RawVerdict::default();
    unsafe { policy_exec(facts, &mut v) };
    verdict(&v)
}

/// `classify_found()`.
pub fn found(f: &Found) -> Verdict {
    let mut v = RawVerdict::default();
    unsafe { policy_found(f, &mut v) };
    verdict(&v)
}

fn verdict(v: &RawVerdict) -> Verdict {
    let roles = [Role::None, Role::Framework, Role::Tool, Role::Helper];
    let rules = [
        Rule::Inherit,
        Rule::Entry,
        Rule::Comm,
        Rule::Reexec,
        Rule::Session,
        Rule::Shell,
        Rule::Outside,
        Rule::Parent,
        Rule::Mark,
        Rule::Job,
        Rule::Program,
        Rule::Unmarked,
        Rule::Commands,
        Rule::Relaunch,
        Rule::Left,
    ];
    Verdict {
        role: roles[v.role as usize],
        rule: rules[v.rule as usize],
        new_call: v.new_call,
        commands: v.commands,
    }
}

fn comm_is(comm: &str) -> u32 {
    let mut bytes = [0u8; 16];
    bytes[..comm.len()].copy_from_slice(comm.as_bytes());
    unsafe { policy_comm_is(bytes.as_ptr().cast()) }
}

/// `comm_is_shell()` of a comm of at most 15 bytes.
pub fn is_shell(comm: &str) -> bool {
    comm_is(comm) & 1 != 0
}

/// `comm_is_init()` of a comm of at most 15 bytes.
pub fn is_init(comm: &str) -> bool {
    comm_is(comm) & 2 != 0
}

/// `comm_is_interpreter()` of a comm of at most 15 bytes.
pub fn is_interpreter(comm: &str) -> bool {
    comm_is(comm) & 4 != 0
}

/// `word_hash()` of the word that `text` begins with: up to a slash, a dot, or its end.
pub fn word_hash(text: &str) -> u64 {
    let bytes: Vec<u8> = text.bytes().take_while(|b| *b != 0).chain([0]).collect();
    unsafe { policy_word_hash(bytes.as_ptr().cast()) }
}

/// The first piece of a string, as the kernel half reads it, and its length without the NUL.
fn piece(text: &str) -> (Vec<u8>, u32) {
    let len = text.len().min(unsafe { policy_piece_len } as usize - 1);
    let mut bytes = vec![0; unsafe { policy_piece_len } as usize];
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    (bytes, len as u32)
}

/// `shell_arg()` of each argument behind the name of a shell: whether it has a command or a script.
pub fn shell_has_command(args: &[&str]) -> bool {
    let pieces: Vec<u8> = args.iter().flat_map(|a| piece(a).0).collect();
    unsafe { policy_shell_command(pieces.as_ptr().cast(), args.len() as u32) }
}

/// `env_mark()` of `NAME=value`.
pub fn env_mark(var: &str) -> Mark {
    let (bytes, len) = piece(var);
    match unsafe { policy_env_mark(bytes.as_ptr().cast(), len) } {
        1 => Mark::Tool,
        2 => Mark::Own,
        _ => Mark::None,
    }
}

/// `sandbox_executable()` of an executable's name, cut as the kernel half reads it.
pub fn is_sandbox(executable: &str) -> bool {
    let room = unsafe { policy_sandbox_name_len } as usize;
    let mut bytes = vec![0; room];
    let len = executable.len().min(room - 1);
    bytes[..len].copy_from_slice(&executable.as_bytes()[..len]);
    unsafe { policy_sandbox_executable(bytes.as_ptr().cast()) }
}

/// Ticks without work from which a sandbox waits for its model.
pub fn sandbox_quiet_ticks() -> u32 {
    unsafe { policy_sandbox_quiet_ticks }
}

/// `sandbox_phase()`: the phase after a tick, as `enum agent_phase`.
pub fn sandbox_phase(phase: u32, ran_ns: u64, tick_ns: u64, quiet: &mut u32) -> u32 {
    unsafe { policy_sandbox_phase(phase, ran_ns, tick_ns, quiet) }
}
