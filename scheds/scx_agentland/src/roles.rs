// SPDX-License-Identifier: GPL-2.0-only
//! What each task works for: told from /proc by the rules of `bpf/classify.h`.
//!
//! The kernel half of scx_agent sees every fork and exec; here a task is looked at when it first
//! waits for a CPU, when its comm has changed (it has exec'd, most likely), and now and then.

use crate::facts::Facts;
use crate::globs::Glob;
use agentpolicy::{Facts as Exec, Found, Role};
use std::collections::HashMap;

/// Number of an agent, or of a cgroup outside agents; never used again.
pub type GroupId = u32;
/// Number of a tool call; never used again.
pub type CallId = u64;

/// What a task works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A kernel thread.
    Kernel,
    /// A task outside agents: by itself.
    Outside,
    Framework,
    /// What a framework runs besides tool calls: by itself, in its agent.
    Helper,
    Call(CallId),
}

/// Where a task belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub group: GroupId,
    pub work: Work,
}

/// How far up an unknown family is looked at.
const MAX_ANCESTORS: u32 = 32;

/// A task that was looked at.
struct Known {
    facts: Facts,
    place: Place,
    /// It was like its parent, a framework, and nothing has changed since.
    forked: bool,
    /// Its parent was a framework when it was first looked at.
    direct: bool,
}

/// All tasks that were looked at.
pub struct Table {
    globs: Vec<Glob>,
    known: HashMap<i32, Known>,
    /// By path: of an agent, or of a cgroup outside agents.
    groups: HashMap<Vec<u8>, GroupId>,
    next_group: GroupId,
    next_call: CallId,
}

impl Table {
    /// `globs` say which cgroups are agents.
    pub fn new(globs: Vec<Glob>) -> Table {
        Table { globs, known: HashMap::new(), groups: HashMap::new(), next_group: 1, next_call: 1 }
    }

    /// Looks at `pid` again, and at its parents in its agent if need be. Returns every task whose
    /// place was told; `pid` itself is not among them if it is gone. `read` is [`Facts::read`].
    pub fn look_at(&mut self, pid: i32, read: &mut dyn FnMut(i32) -> Option<Facts>) -> Vec<(i32, Place)> {
        let mut told = Vec::new();
        self.look(pid, 0, read, &mut told);
        told
    }

    fn look(
        &mut self,
        pid: i32,
        depth: u32,
        read: &mut dyn FnMut(i32) -> Option<Facts>,
        told: &mut Vec<(i32, Place)>,
    ) -> Option<Place> {
        let Some(facts) = read(pid) else {
            self.known.remove(&pid);
            return None;
        };
        let (group, agent) = self.group_of(&facts.cgroup);
        let before =
            self.known.remove(&pid).filter(|k| k.facts.began == facts.began && k.place.group == group);
        let (work, forked, direct) = if facts.kernel {
            (Work::Kernel, false, false)
        } else if !agent {
            (Work::Outside, false, false)
        } else if facts.process != pid && depth < MAX_ANCESTORS {
            // A thread is what its process is, unless that is in another cgroup.
            let place = self.look(facts.process, depth + 1, read, told).filter(|p| p.group == group);
            (place.map_or(Work::Outside, |p| p.work), false, false)
        } else if let Some(before) = before {
            self.again(before, &facts)
        } else {
            self.first(&facts, group, depth, read, told)
        };
        let place = Place { group, work };
        self.known.insert(pid, Known { facts, place, forked, direct });
        told.push((pid, place));
        Some(place)
    }

    /// What a task of an agent is that was looked at `before`. That a shell reads commands, and what
    /// a framework marks, is not seen here: every shell has a command.
    fn again(&mut self, before: Known, facts: &Facts) -> (Work, bool, bool) {
        let same = before.facts.comm == facts.comm && before.facts.session == facts.session;
        let role = match before.place.work {
            Work::Framework => Role::Framework,
            Work::Helper => Role::Helper,
            // All that a tool call starts is part of it.
            work => return (work, false, false),
        };
        if same {
            return (before.place.work, before.forked, before.direct);
        }
        let verdict = agentpolicy::exec(&Exec {
            forked: before.forked,
            direct: before.direct,
            shell: is_shell(&facts.comm),
            command: true,
            new_session: facts.session == facts.process,
            ..Exec::of(role)
        });
        (self.work_of(verdict, facts), false, before.direct)
    }

    /// What a task of an agent is at the first look.
    fn first(
        &mut self,
        facts: &Facts,
        group: GroupId,
        depth: u32,
        read: &mut dyn FnMut(i32) -> Option<Facts>,
        told: &mut Vec<(i32, Place)>,
    ) -> (Work, bool, bool) {
        let above = if depth < MAX_ANCESTORS { self.look(facts.parent, depth + 1, read, told) } else { None };
        let parent = above.filter(|p| p.group == group).and_then(|_| self.known.get(&facts.parent));
        let work = parent.map(|p| p.place.work);
        let role = match work {
            Some(Work::Call(_)) => Role::Tool,
            Some(Work::Framework) => Role::Framework,
            Some(Work::Helper) => Role::Helper,
            _ => Role::None,
        };
        let new_session = parent.is_none_or(|p| p.facts.session != facts.session);
        let like_parent = !new_session && parent.is_some_and(|p| p.facts.comm == facts.comm);
        let parent_init = parent.is_some_and(|p| is_init(&p.facts.comm));
        let verdict = agentpolicy::found(&Found {
            parent_role: role,
            frameworks: self.frameworks(group),
            known_comm: false,
            shell: is_shell(&facts.comm),
            like_parent,
            new_session,
            parent_init,
        });
        let direct = role == Role::Framework;
        match work {
            Some(call @ Work::Call(_)) => (call, false, false),
            _ => (self.work_of(verdict, facts), direct && like_parent, direct),
        }
    }

    /// The work for which `facts`' task is, by a verdict that does not leave it in its call.
    fn work_of(&mut self, verdict: agentpolicy::Verdict, facts: &Facts) -> Work {
        match verdict.role {
            Role::Framework => Work::Framework,
            Role::Helper => Work::Helper,
            Role::Tool | Role::None => self.new_call(facts),
        }
    }

    /// Framework processes of an agent.
    fn frameworks(&self, group: GroupId) -> u32 {
        let framework = Place { group, work: Work::Framework };
        self.known.values().filter(|k| k.place == framework).count() as u32
    }

    fn new_call(&mut self, facts: &Facts) -> Work {
        log::info!("call {}: pid {} {:?}", self.next_call, facts.process, facts.comm);
        self.next_call += 1;
        Work::Call(self.next_call - 1)
    }

    /// The group of a cgroup, and whether it is an agent.
    fn group_of(&mut self, cgroup: &[u8]) -> (GroupId, bool) {
        let agent = self.globs.iter().find_map(|g| g.agent_of(cgroup));
        let path = agent.unwrap_or(cgroup);
        let id = match self.groups.get(path) {
            Some(&id) => id,
            None => {
                if agent.is_some() {
                    log::info!("agent {:?}", String::from_utf8_lossy(path));
                }
                self.groups.insert(path.to_vec(), self.next_group);
                self.next_group += 1;
                self.next_group - 1
            }
        };
        (id, agent.is_some())
    }

    /// Forgets the tasks that are not `alive`, and groups without any; returns those tasks.
    pub fn prune(&mut self, alive: &dyn Fn(i32) -> bool) -> Vec<i32> {
        let gone: Vec<i32> = self.known.keys().copied().filter(|&pid| !alive(pid)).collect();
        for pid in &gone {
            self.known.remove(pid);
        }
        let used: std::collections::HashSet<GroupId> = self.known.values().map(|k| k.place.group).collect();
        self.groups.retain(|_, id| used.contains(id));
        gone
    }
}

/// True if a comm is that of a shell. One with replaced characters may be longer than the kernel's.
fn is_shell(comm: &str) -> bool {
    comm.len() < 16 && agentpolicy::is_shell(comm)
}

fn is_init(comm: &str) -> bool {
    comm.len() < 16 && agentpolicy::is_init(comm)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine: its tasks by pid.
    #[derive(Default)]
    struct Machine(HashMap<i32, Facts>);

    impl Machine {
        /// pid 1, and an agent's framework: pid 10, in a session of its own.
        fn with_agent() -> (Machine, Table) {
            let mut m = Machine::default();
            m.task(1, 0, 1, "init", "/");
            m.task(10, 1, 10, "claude", "/agents/a1");
            (m, Table::new(vec!["agents/*".parse().unwrap()]))
        }

        fn task(&mut self, pid: i32, parent: i32, session: i32, comm: &str, cgroup: &str) -> &mut Facts {
            let facts = Facts {
                began: pid as u64,
                process: pid,
                parent,
                session,
                comm: comm.into(),
                cgroup: cgroup.into(),
                kernel: false,
            };
            self.0.insert(pid, facts);
            self.0.get_mut(&pid).unwrap()
        }

        fn work(&self, table: &mut Table, pid: i32) -> Option<Work> {
            let told = table.look_at(pid, &mut |pid| self.0.get(&pid).cloned());
            told.iter().find(|t| t.0 == pid).map(|t| t.1.work)
        }
    }

    #[test]
    fn a_call_is_what_a_framework_execs_and_all_below_it() {
        let (mut m, mut t) = Machine::with_agent();
        assert_eq!(m.work(&mut t, 10), Some(Work::Framework));
        // Seen between fork and exec, then after it.
        m.task(11, 10, 10, "claude", "/agents/a1");
        assert_eq!(m.work(&mut t, 11), Some(Work::Framework));
        m.task(11, 10, 11, "sh", "/agents/a1");
        let Some(Work::Call(call)) = m.work(&mut t, 11) else { panic!("an exec is a call") };
        m.task(12, 11, 11, "claude", "/agents/a1/below");
        assert_eq!(m.work(&mut t, 12), Some(Work::Call(call)));
        m.task(12, 11, 12, "make", "/agents/a1/below");
        assert_eq!(m.work(&mut t, 12), Some(Work::Call(call)), "whatever it execs");
        // Its parent is gone, but it is known.
        m.task(12, 1, 12, "ld", "/agents/a1/below");
        assert_eq!(m.work(&mut t, 12), Some(Work::Call(call)));
        m.task(13, 10, 13, "sh", "/agents/a1");
        let Some(Work::Call(second)) = m.work(&mut t, 13) else { panic!("a call") };
        assert_ne!(second, call);
    }

    #[test]
    fn a_stale_parent_is_looked_at_again() {
        let (mut m, mut t) = Machine::with_agent();
        m.task(11, 10, 10, "claude", "/agents/a1");
        m.work(&mut t, 11);
        // It has exec'd unseen, and forked since.
        m.task(11, 10, 11, "sh", "/agents/a1");
        m.task(12, 11, 11, "cc", "/agents/a1");
        let told = t.look_at(12, &mut |pid| m.0.get(&pid).cloned());
        let call = Work::Call(1);
        let works: Vec<_> = told.iter().map(|t| (t.0, t.1.work)).collect();
        assert!(works.contains(&(11, call)) && works.contains(&(12, call)), "{works:?}");
    }

    #[test]
    fn a_framework_that_execs_stays_one() {
        let (mut m, mut t) = Machine::with_agent();
        m.work(&mut t, 10);
        m.task(10, 1, 10, "2.1.69", "/agents/a1");
        assert_eq!(m.work(&mut t, 10), Some(Work::Framework));
    }

    #[test]
    fn other_programs_of_a_framework_are_helpers_unless_they_become_a_shell() {
        let (mut m, mut t) = Machine::with_agent();
        m.task(11, 10, 10, "claude", "/agents/a1");
        assert_eq!(m.work(&mut t, 11), Some(Work::Framework));
        m.task(11, 10, 11, "setsid", "/agents/a1");
        assert_eq!(m.work(&mut t, 11), Some(Work::Helper));
        m.task(11, 10, 11, "zsh", "/agents/a1");
        assert!(matches!(m.work(&mut t, 11), Some(Work::Call(_))));
        m.task(12, 10, 12, "git", "/agents/a1");
        assert_eq!(m.work(&mut t, 12), Some(Work::Helper), "first seen after its exec");
        m.task(13, 12, 12, "sh", "/agents/a1");
        assert_eq!(m.work(&mut t, 13), Some(Work::Helper), "a helper's own shell");
        m.task(13, 12, 13, "bash", "/agents/a1");
        assert_eq!(m.work(&mut t, 13), Some(Work::Helper));
    }

    #[test]
    fn what_enters_an_agent_from_outside_is_a_call() {
        let (mut m, mut t) = Machine::with_agent();
        m.work(&mut t, 10);
        m.task(20, 1, 20, "bash", "/agents/a1");
        assert!(matches!(m.work(&mut t, 20), Some(Work::Call(_))));
        m.task(21, 1, 21, "bash", "/agents/a2");
        assert_eq!(m.work(&mut t, 21), Some(Work::Framework), "the first of another agent");
    }

    #[test]
    fn threads_are_what_their_process_is() {
        let (mut m, mut t) = Machine::with_agent();
        m.task(15, 1, 10, "HeapHelper", "/agents/a1").process = 10;
        assert_eq!(m.work(&mut t, 15), Some(Work::Framework));
        m.task(11, 10, 11, "bash", "/agents/a1");
        m.task(16, 10, 11, "worker", "/agents/a1").process = 11;
        let worker = m.work(&mut t, 16);
        assert!(matches!(worker, Some(Work::Call(_))) && worker == m.work(&mut t, 11));
        m.task(16, 10, 11, "renamed", "/agents/a1").process = 11;
        assert_eq!(m.work(&mut t, 16), worker);
    }

    #[test]
    fn a_pid_that_is_used_again_is_another_task() {
        let (mut m, mut t) = Machine::with_agent();
        m.task(11, 10, 11, "sh", "/agents/a1");
        let first = m.work(&mut t, 11);
        m.task(11, 10, 11, "sh", "/agents/a1").began = 99;
        assert_ne!(m.work(&mut t, 11), first);
        m.0.remove(&11);
        assert_eq!(m.work(&mut t, 11), None);
    }

    #[test]
    fn outside_and_kernel() {
        let (mut m, mut t) = Machine::with_agent();
        assert_eq!(m.work(&mut t, 1), Some(Work::Outside));
        m.task(2, 0, 0, "kworker/u8:1", "/").kernel = true;
        assert_eq!(m.work(&mut t, 2), Some(Work::Kernel));
    }

    #[test]
    fn hostile_families_end() {
        let (mut m, mut t) = Machine::with_agent();
        for pid in 100..1000 {
            m.task(pid, pid - 1, pid, "\u{fffd})", "/agents/a1");
        }
        // Its own ancestor, its own process.
        m.task(50, 51, 50, "", "/agents/a1");
        m.task(51, 50, 50, "", "/agents/a1").process = 51;
        m.task(60, 60, 60, "", "/agents/a1").process = 61;
        m.task(61, 61, 60, "", "/agents/a1").process = 60;
        for pid in [999, 50, 51, 60, 61] {
            assert!(m.work(&mut t, pid).is_some());
        }
    }

    #[test]
    fn the_dead_are_forgotten() {
        let (mut m, mut t) = Machine::with_agent();
        m.task(11, 10, 11, "sh", "/agents/a1");
        m.work(&mut t, 11);
        assert_eq!(t.known.len(), 3, "with its parents");
        let mut gone = t.prune(&|pid| pid == 1);
        gone.sort();
        assert_eq!((gone, t.known.len(), t.groups.len()), (vec![10, 11], 1, 1));
    }
}
