// SPDX-License-Identifier: GPL-2.0-only
//! The policy: who has had how much CPU time, and what rank that gives. [`Ranks::rank`] is the
//! function to change for another one; the arithmetic is that of `bpf/rank.h`.
//!
//! scx_rustland_core tells of a task only when it has to wait for a CPU. What a task used the last
//! time it ran is known then; how long it slept, and how many tasks of a call are runnable, is
//! estimated from what came by.

use crate::queue::Rank;
use crate::roles::{CallId, GroupId, Place, Work};
use agentpolicy::{self as policy, Knobs, DEFAULT_KNOBS};
use std::collections::HashMap;

const MS: u64 = 1_000_000;

/// How far a framework ranks before a new tool call.
const FRAMEWORK_LEAD_NS: u64 = 6_000 * MS;
/// CPU time at a stretch, and percent of a core for ever, that a framework has first rank for.
const FRAMEWORK_BURST_NS: u64 = 500 * MS;
const FRAMEWORK_RATE_PCT: u64 = 50;
/// Longest time that one round of quanta over all that is runnable should take.
const ROUND_TARGET_NS: u64 = 8_000 * MS;
/// Time between two looks at who is active.
const TICK_NS: u64 = 100 * MS;
/// Time after which a task is looked up again.
const RECHECK_NS: u64 = 2_000 * MS;

/// A task that has to wait, as the kernel half tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub pid: i32,
    /// As the kernel keeps it.
    pub comm: [u8; 16],
    /// How often the task has waited, this time included.
    pub nr_waits: u64,
    /// When it last began to run, on the kernel's clock: tells one run from the next.
    pub ran_at_ns: u64,
    /// How long it then ran.
    pub ran_ns: u64,
    /// It has slept since.
    pub woke_up: bool,
    /// 1..10000, 100 for nice 0.
    pub weight: u32,
}

/// Whose turn it is among equals; see `bpf/rank.h`.
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    cpu_ns: u64,
    base_ns: u64,
    /// `cpu_ns` at which `base_ns` moves on.
    quantum_end_ns: u64,
}

/// A tool call, or a task that is none's.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    group: GroupId,
    service_ns: u64,
    turns: Turns,
    /// Tasks that wait.
    queued: u32,
    /// Tasks that came by in this tick, and in the one before.
    tick: u64,
    came: u32,
    came_before: u32,
    peak_width: u32,
    /// When something was last known of it.
    seen_ns: u64,
}

impl Account {
    fn new(group: GroupId, now: u64) -> Account {
        let turns = Turns { base_ns: now, quantum_end_ns: DEFAULT_KNOBS.quantum_min_ns, cpu_ns: 0 };
        Account { group, turns, seen_ns: now, ..Account::default() }
    }

    /// Another of its tasks has come by in this tick.
    fn count(&mut self, tick: u64) {
        if self.tick != tick {
            self.came_before = if self.tick + 1 == tick { self.came } else { 0 };
            self.came = 0;
            self.tick = tick;
        }
        self.came += 1;
        self.peak_width = self.peak_width.max(self.width());
    }

    /// Tasks that are runnable, about.
    fn width(&self) -> u32 {
        self.queued.max(self.came).max(self.came_before).max(1)
    }
}

/// An agent, or a cgroup outside agents.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    debt_ns: u64,
    framework_debt_ns: u64,
    /// While its debt makes its calls long, they have turns as if they were one.
    turns: Turns,
    nr_calls: u32,
    /// The last tick in which a task of it came by.
    tick: u64,
}

struct Task {
    /// None until it was looked up: till then it is like a new call.
    place: Option<Place>,
    comm: [u8; 16],
    asked_ns: u64,
    ran_at_ns: u64,
    /// The last tick in which it came by.
    tick: u64,
    /// The call in whose `queued` it is.
    queued_in: Option<CallId>,
    /// Outside tool calls each task has its own.
    own: Account,
}

/// All that is known of the tasks that have come by.
pub struct Ranks {
    knobs: Knobs,
    cpus: u32,
    tasks: HashMap<i32, Task>,
    calls: HashMap<CallId, Account>,
    groups: HashMap<GroupId, Group>,
    /// Number of the tick, and when it began.
    tick: u64,
    tick_ns: u64,
    /// Groups that came by in the last tick, and in this one; calls and single tasks in this one.
    nr_active: u32,
    active: u32,
    competitors: u32,
    /// The longest quantum that the competitors leave.
    round_ns: u64,
}

impl Ranks {
    /// For a machine with `cpus` CPUs.
    pub fn new(cpus: u32, now_ns: u64) -> Ranks {
        Ranks {
            knobs: DEFAULT_KNOBS,
            cpus,
            tasks: HashMap::new(),
            calls: HashMap::new(),
            groups: HashMap::new(),
            tick: 2,
            tick_ns: now_ns,
            nr_active: 1,
            active: 0,
            competitors: 0,
            round_ns: ROUND_TARGET_NS,
        }
    }

    /// Takes in a task that has to wait, and ranks it. True if it should be looked up, anew maybe.
    pub fn arrive(&mut self, a: &Arrival, now: u64) -> (Rank, bool) {
        let new = Task {
            place: None,
            comm: a.comm,
            asked_ns: now,
            ran_at_ns: 0,
            tick: 0,
            queued_in: None,
            own: Account::new(0, now),
        };
        let mut task = self.tasks.remove(&a.pid).unwrap_or(new);
        // Its first wait: what is known of the pid was another task.
        if a.nr_waits <= 1 {
            self.unqueue(&mut task, now);
            task = Task { place: None, ran_at_ns: 0, own: Account::new(0, now), ..task };
        }
        let stale = now - task.asked_ns >= RECHECK_NS && task.place.is_none_or(|p| p.work != Work::Kernel);
        let look_up = task.place.is_none() || task.comm != a.comm || stale;
        if look_up {
            (task.comm, task.asked_ns) = (a.comm, now);
        }
        // A run that ends in a sleep is told of at the next wait, any other one at its end.
        let ran_ns = if a.ran_at_ns != task.ran_at_ns { a.ran_ns } else { 0 };
        task.ran_at_ns = a.ran_at_ns;
        self.charge(&mut task, ran_ns, a.weight, now);
        self.wake_or_stay(&mut task, a.woke_up, ran_ns, now);
        let rank = self.rank(&mut task, now);
        self.tasks.insert(a.pid, task);
        (rank, look_up)
    }

    /// A task that had arrived now gets a CPU.
    pub fn started(&mut self, pid: i32, now: u64) {
        if let Some(mut task) = self.tasks.remove(&pid) {
            self.unqueue(&mut task, now);
            self.tasks.insert(pid, task);
        }
    }

    /// A task was looked up.
    pub fn placed(&mut self, pid: i32, place: Place, now: u64) {
        let group = self.groups.entry(place.group).or_default();
        if let Work::Call(call) = place.work {
            self.calls.entry(call).or_insert_with(|| {
                group.nr_calls += 1;
                Account::new(place.group, now)
            });
        }
        if let Some(task) = self.tasks.get_mut(&pid) {
            task.place = Some(place);
            task.own.group = place.group;
        }
    }

    /// A task is gone.
    pub fn gone(&mut self, pid: i32, now: u64) {
        if let Some(mut task) = self.tasks.remove(&pid) {
            self.unqueue(&mut task, now);
        }
    }

    /// Forgives debt and counts who is active, once in [`TICK_NS`]; forgets the calls and groups
    /// of `gone` tasks if there are some.
    pub fn tick(&mut self, some_gone: bool, now: u64) {
        if some_gone {
            self.prune();
        }
        let elapsed = now - self.tick_ns;
        if elapsed < TICK_NS {
            return;
        }
        self.nr_active = self.active.max(1);
        self.round_ns = ROUND_TARGET_NS * u64::from(self.cpus) / u64::from(self.competitors.max(1));
        (self.active, self.competitors) = (0, 0);
        self.tick_ns = now;
        self.tick += 1;
        let share = policy::share_of(policy::cpus_rate(self.cpus), 1, self.nr_active.into());
        let leak = policy::time_ns(elapsed, share);
        for group in self.groups.values_mut() {
            group.debt_ns = group.debt_ns.saturating_sub(leak);
            group.framework_debt_ns =
                group.framework_debt_ns.saturating_sub(elapsed * FRAMEWORK_RATE_PCT / 100);
            // Out of debt: the next time begins with a turn of its own.
            if group.debt_ns < self.knobs.debt_burst_ns {
                group.turns.quantum_end_ns = 0;
            }
        }
    }

    /// Tasks, calls and groups known.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.tasks.len(), self.calls.len(), self.groups.len())
    }

    /// The rank of a task that has just come to wait; moves its turn on if its quantum is used up.
    fn rank(&mut self, task: &mut Task, now: u64) -> Rank {
        let group = task.place.map_or(0, |p| p.group);
        let group = self.groups.entry(group).or_default();
        let knobs = &self.knobs;
        let account = match task.place.map(|p| p.work) {
            // They serve everybody.
            Some(Work::Kernel) if task.own.service_ns < FRAMEWORK_BURST_NS => {
                return Rank::Key(now.wrapping_sub(FRAMEWORK_LEAD_NS));
            }
            Some(Work::Kernel) => return Rank::Key(now),
            Some(Work::Framework) if group.framework_debt_ns <= FRAMEWORK_BURST_NS => {
                return Rank::Key(now.wrapping_sub(FRAMEWORK_LEAD_NS));
            }
            Some(Work::Framework) => {
                return Rank::Key(
                    now + policy::delay_ns(group.framework_debt_ns - FRAMEWORK_BURST_NS, knobs),
                );
            }
            Some(Work::Call(call)) => self.calls.get_mut(&call),
            Some(Work::Outside | Work::Helper) | None => None,
        };
        let is_call = account.is_some();
        let account = account.unwrap_or(&mut task.own);
        let service_ns = policy::service_ns(account.service_ns, group.debt_ns, knobs);
        let is_long = policy::is_long(service_ns, knobs);
        // Long only for its agent's debt: then the agent's calls are one long call together.
        let indebted = is_call && is_long && !policy::is_long(account.service_ns, knobs);
        let width = account.peak_width;
        let turns = if indebted { &mut group.turns } else { &mut account.turns };
        if turns.cpu_ns >= turns.quantum_end_ns {
            turns.base_ns = now;
            turns.quantum_end_ns =
                turns.cpu_ns + policy::quantum_ns(turns.cpu_ns, is_long, self.round_ns, knobs);
        }
        if is_long {
            Rank::Long(policy::long_place(turns.base_ns, width, knobs))
        } else {
            Rank::Key(turns.base_ns + policy::delay_ns(service_ns, knobs))
        }
    }

    /// Charges a run of `ran_ns`.
    fn charge(&mut self, task: &mut Task, ran_ns: u64, weight: u32, now: u64) {
        let weighted_ns = policy::weighted_ns(ran_ns, weight);
        let Some(place) = task.place else {
            task.own.service_ns += weighted_ns;
            task.own.turns.cpu_ns += ran_ns;
            return;
        };
        let (tick, first) = (self.tick, task.tick != self.tick);
        task.tick = tick;
        let group = self.groups.entry(place.group).or_default();
        if group.tick != tick {
            group.tick = tick;
            self.active += 1;
        }
        let (charge_ns, account) = match place.work {
            Work::Framework => {
                group.framework_debt_ns += weighted_ns;
                return;
            }
            Work::Call(call) => {
                let account = self.calls.entry(call).or_insert_with(|| Account::new(place.group, now));
                if account.tick != tick {
                    self.competitors += 1;
                }
                if first {
                    account.count(tick);
                }
                group.turns.cpu_ns += ran_ns;
                let charge_ns =
                    policy::charge_ns(weighted_ns, account.turns.cpu_ns, group.nr_calls, &self.knobs);
                account.service_ns += policy::wide_ns(weighted_ns, account.width());
                (charge_ns, account)
            }
            Work::Outside | Work::Helper | Work::Kernel => {
                self.competitors += u32::from(first);
                let charge_ns = policy::charge_ns(weighted_ns, task.own.service_ns, 1, &self.knobs);
                task.own.service_ns += weighted_ns;
                // A kernel thread works for others: its own business, and not its group's.
                (if place.work == Work::Kernel { 0 } else { charge_ns }, &mut task.own)
            }
        };
        account.turns.cpu_ns += ran_ns;
        group.debt_ns += charge_ns;
    }

    /// Time asleep is not time it waited for a CPU. Also notes that it waits now.
    fn wake_or_stay(&mut self, task: &mut Task, woke_up: bool, ran_ns: u64, now: u64) {
        let call = match task.place.map(|p| p.work) {
            Some(Work::Call(call)) => Some(call),
            _ => None,
        };
        if task.queued_in != call {
            self.unqueue(task, now);
        }
        match call.and_then(|c| self.calls.get_mut(&c)) {
            Some(account) => {
                let idle_ns = (now - account.seen_ns).saturating_sub(ran_ns);
                if woke_up && account.queued == 0 {
                    account.turns.base_ns += idle_ns;
                }
                account.seen_ns = now;
                if task.queued_in.is_none() {
                    task.queued_in = call;
                    account.queued += 1;
                }
            }
            None => {
                let own = &mut task.own;
                let slept_ns = (now - own.seen_ns).saturating_sub(ran_ns);
                if woke_up {
                    // Forgiven at the rate of a whole CPU.
                    own.service_ns = own.service_ns.saturating_sub(slept_ns);
                    own.turns.base_ns = now;
                    own.turns.quantum_end_ns = own.turns.cpu_ns
                        + policy::quantum_ns(own.service_ns, false, self.round_ns, &self.knobs);
                }
                own.seen_ns = now;
            }
        }
    }

    /// A task waits no longer.
    fn unqueue(&mut self, task: &mut Task, now: u64) {
        task.own.seen_ns = now;
        if let Some(account) = task.queued_in.take().and_then(|c| self.calls.get_mut(&c)) {
            account.queued = account.queued.saturating_sub(1);
            account.seen_ns = now;
        }
    }

    /// Forgets calls without a task, and groups that have neither tasks nor debt.
    fn prune(&mut self) {
        let places = || self.tasks.values().filter_map(|t| t.place);
        let calls: std::collections::HashSet<CallId> = places()
            .filter_map(|p| match p.work {
                Work::Call(call) => Some(call),
                _ => None,
            })
            .collect();
        let groups: std::collections::HashSet<GroupId> = places().map(|p| p.group).collect();
        self.calls.retain(|id, _| calls.contains(id));
        self.groups.retain(|id, g| groups.contains(id) || g.debt_ns > 0);
        for group in self.groups.values_mut() {
            group.nr_calls = 0;
        }
        for call in self.calls.values() {
            self.groups.entry(call.group).or_default().nr_calls += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    struct Machine {
        ranks: Ranks,
        now: u64,
    }

    impl Machine {
        fn new() -> Machine {
            Machine { ranks: Ranks::new(4, 100 * S), now: 100 * S }
        }

        /// Lets `ns` go by, in ticks.
        fn pass(&mut self, ns: u64) {
            for _ in 0..ns / TICK_NS {
                self.now += TICK_NS;
                self.ranks.tick(false, self.now);
            }
        }

        fn arrival(&self, pid: i32, ran_ns: u64, woke_up: bool) -> Arrival {
            let comm = *b"sh\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
            Arrival { pid, comm, nr_waits: 2, ran_at_ns: self.now, ran_ns, woke_up, weight: 100 }
        }

        /// The task has run for `ran_ns` just now, waits, and runs again at once.
        fn ran(&mut self, pid: i32, ran_ns: u64) -> Rank {
            self.now += ran_ns;
            let rank = self.ranks.arrive(&self.arrival(pid, ran_ns, false), self.now).0;
            self.ranks.started(pid, self.now);
            self.ranks.tick(false, self.now);
            rank
        }

        fn place(&mut self, pid: i32, group: GroupId, work: Work) {
            self.ran(pid, 0);
            self.ranks.placed(pid, Place { group, work }, self.now);
        }
    }

    fn key(rank: Rank) -> u64 {
        match rank {
            Rank::Key(key) => key,
            Rank::Long(_) => panic!("{rank:?} is not short"),
        }
    }

    #[test]
    fn frameworks_then_new_calls_then_those_that_had_some() {
        let mut m = Machine::new();
        m.place(1, 1, Work::Framework);
        m.place(2, 1, Work::Call(1));
        m.place(3, 2, Work::Call(2));
        for _ in 0..10 {
            m.ran(3, 10 * MS);
        }
        let (framework, new, older) = (key(m.ran(1, 0)), key(m.ran(2, 0)), key(m.ran(3, 0)));
        assert!(policy::before(framework, new) && policy::before(new, older), "{framework} {new} {older}");
        assert_eq!(
            older - new,
            policy::delay_ns(100 * MS, &DEFAULT_KNOBS) + older_base(&m, 2) - older_base(&m, 1)
        );
    }

    fn older_base(m: &Machine, call: CallId) -> u64 {
        m.ranks.calls[&call].turns.base_ns
    }

    #[test]
    fn a_framework_has_a_budget() {
        let mut m = Machine::new();
        m.place(1, 1, Work::Framework);
        for _ in 0..200 {
            m.ran(1, 10 * MS);
        }
        let rank = key(m.ran(1, 0));
        assert!(rank > m.now, "2 s at a stretch rank behind a new call");
        m.pass(5 * S);
        let rank = key(m.ran(1, 0));
        assert_eq!(rank, m.now - FRAMEWORK_LEAD_NS, "it is forgiven");
    }

    #[test]
    fn all_tasks_of_a_call_share_its_service() {
        let mut m = Machine::new();
        for pid in 10..14 {
            m.place(pid, 1, Work::Call(1));
        }
        for _ in 0..100 {
            for pid in 10..14 {
                m.ran(pid, 10 * MS);
            }
        }
        assert!(matches!(m.ran(10, 0), Rank::Long(_)), "4 s over four tasks");
        let call = &m.ranks.calls[&1];
        assert_eq!(call.turns.cpu_ns, 4 * S);
        assert!((2..=4).contains(&call.peak_width), "{call:?}");
        assert!(call.service_ns > call.turns.cpu_ns, "wide: {call:?}");
    }

    #[test]
    fn long_calls_are_served_first_come_first_served() {
        let mut m = Machine::new();
        let mut place = |pid, call| {
            m.place(pid, pid as GroupId, Work::Call(call));
            for _ in 0..200 {
                m.ran(pid, 10 * MS);
            }
            match m.ran(pid, 0) {
                Rank::Long(place) => place,
                short => panic!("{short:?} after 2 s"),
            }
        };
        let (first, second) = (place(1, 1), place(2, 2));
        assert!(policy::before(first, second));
    }

    #[test]
    fn splitting_work_buys_nothing() {
        let mut m = Machine::new();
        m.place(1, 1, Work::Call(1000));
        for call in 0..60 {
            m.place(2, 2, Work::Call(call));
            for _ in 0..10 {
                // Others are active too, and half of the machine is busy otherwise.
                m.ran(1, 0);
                m.ran(2, 10 * MS);
            }
        }
        // 6 s of new calls in 6 s on four CPUs is less than an equal share.
        let debt = m.ranks.groups[&2].debt_ns;
        assert!(debt < S, "{debt}");
        let group = m.ranks.groups.get_mut(&2).unwrap();
        group.debt_ns = 3 * S;
        m.place(2, 2, Work::Call(100));
        assert!(matches!(m.ran(2, 0), Rank::Long(_)), "a new call of an agent in debt");
        assert!(matches!(m.ran(1, 0), Rank::Key(_)));
    }

    #[test]
    fn a_run_is_charged_once() {
        let mut m = Machine::new();
        m.place(1, 1, Work::Call(1));
        m.now += 50 * MS;
        let mut a = m.arrival(1, 50 * MS, true);
        for _ in 0..3 {
            m.ranks.arrive(&a, m.now);
        }
        assert_eq!(m.ranks.calls[&1].turns.cpu_ns, 50 * MS);
        assert_eq!(m.ranks.calls[&1].queued, 1);
        (a.ran_at_ns, a.ran_ns, a.weight) = (m.now + S, 10 * MS, 200);
        m.ranks.arrive(&a, m.now);
        let call = &m.ranks.calls[&1];
        assert_eq!((call.turns.cpu_ns, call.service_ns), (60 * MS, 55 * MS), "nice ones are charged less");
    }

    #[test]
    fn time_asleep_is_not_waiting() {
        let mut m = Machine::new();
        m.place(1, 1, Work::Call(1));
        let before = m.ranks.calls[&1].turns.base_ns;
        m.now += 3 * S;
        let mut a = m.arrival(1, 0, true);
        m.ranks.arrive(&a, m.now);
        assert_eq!(m.ranks.calls[&1].turns.base_ns, before + 3 * S);
        // One of its tasks waits meanwhile.
        m.now += S;
        a.pid = 2;
        m.ranks.placed(2, Place { group: 1, work: Work::Call(1) }, m.now);
        m.ranks.arrive(&a, m.now);
        assert_eq!(m.ranks.calls[&1].turns.base_ns, before + 3 * S);
    }

    #[test]
    fn looked_up_when_new_when_renamed_and_now_and_then() {
        let mut m = Machine::new();
        let mut a = m.arrival(1, 0, true);
        assert!(m.ranks.arrive(&a, m.now).1);
        m.ranks.placed(1, Place { group: 1, work: Work::Call(1) }, m.now);
        assert!(!m.ranks.arrive(&a, m.now).1);
        a.comm = [0xff; 16];
        assert!(m.ranks.arrive(&a, m.now).1);
        assert!(!m.ranks.arrive(&a, m.now).1);
        m.now += RECHECK_NS;
        assert!(m.ranks.arrive(&a, m.now).1);
        // The pid is another task's.
        m.ran(1, S);
        a.nr_waits = 1;
        let (rank, look_up) = m.ranks.arrive(&a, m.now);
        assert!(look_up);
        assert_eq!(key(rank), m.now, "like a new call");
    }

    #[test]
    fn the_dead_are_forgotten() {
        let mut m = Machine::new();
        for pid in 1..=3 {
            m.place(pid, 1, Work::Call(pid as CallId));
        }
        assert_eq!(m.ranks.groups[&1].nr_calls, 3);
        m.ranks.gone(1, m.now);
        m.ranks.tick(true, m.now);
        assert_eq!(m.ranks.groups[&1].nr_calls, 2);
        (2..=3).for_each(|pid| m.ranks.gone(pid, m.now));
        m.ranks.tick(true, m.now);
        let (tasks, calls, groups) = m.ranks.counts();
        assert_eq!((tasks, calls), (0, 0));
        assert!(groups <= 1);
    }
}
