// SPDX-License-Identifier: GPL-2.0-only

use super::super::keys::keys;
use super::*;

fn parsed(text: &str) -> Result<Contents, Vec<String>> {
    let told = |all: Vec<Problem>| all.into_iter().map(|p| p.0).collect();
    parse(text, Path::new("f.toml"), &keys()).map_err(told)
}

/// The one problem of `text`.
fn problem(text: &str) -> String {
    let all = parsed(text).expect_err(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

#[test]
fn values_become_words_of_the_command_line() {
    let text = "slice_us = 5_000\ndelay_slope = 0x10\nno_memory = true\nverbose = 2\n\
                agent_cgroups = ['agents/*', \"x/?\"]\nframework_comms = 'me'\nstats = 5\nevents = '/tmp/e'";
    let settings = parsed(text).unwrap().settings;
    let values = |key: &str| {
        let s = settings.iter().find(|s| s.key == key).unwrap();
        (s.values.iter().map(String::as_str).collect::<Vec<_>>(), s.place.line)
    };
    assert_eq!(values("slice_us"), (vec!["5000"], 1));
    assert_eq!(values("delay_slope"), (vec!["16"], 2));
    assert_eq!(values("no_memory"), (vec![""], 3));
    assert_eq!(values("verbose"), (vec!["", ""], 4));
    assert_eq!(values("agent_cgroups"), (vec!["agents/*", "x/?"], 5));
    assert_eq!(values("framework_comms"), (vec!["me"], 6));
    assert_eq!(values("stats"), (vec!["5"], 7));
    assert_eq!(values("events"), (vec!["/tmp/e"], 8));
}

#[test]
fn what_has_no_default_can_be_set_back() {
    let settings = parsed("events = false\nmem_reserve_mb = false").unwrap().settings;
    assert!(settings.len() == 2 && settings.iter().all(|s| s.values.is_empty()), "{settings:?}");
    assert!(problem("slice_us = false").contains("slice_us: this is true or false, expected a whole number"));
    assert!(problem("events = true").contains("expected a text"));
}

#[test]
fn each_problem_names_file_line_key_and_what_to_do() {
    for (text, want) in [
        ("\nslice-us = 5", "f.toml:2: there is no key \"slice-us\": did you mean `slice_us`?"),
        ("colour = 5", "f.toml:1: there is no key \"colour\": `scx_agent config default` lists all keys"),
        ("slice_us = 'x'", "f.toml:1: slice_us: this is a text, expected a whole number, 0 or more"),
        ("slice_us = 1", "f.toml:1: slice_us: 1 is not in 100..=1000000"),
        ("slice_us = -1", "f.toml:1: slice_us: -1 is not a whole number, 0 or more"),
        (
            "slice_us = 1.5",
            "f.toml:1: slice_us: this is a number with decimals, expected a whole number, 0 or more",
        ),
        ("no_memory = 1", "f.toml:1: no_memory: this is a whole number, expected true or false"),
        ("verbose = 9", "f.toml:1: verbose: 9 is not a number from 0 to 4"),
        ("stats = 0", "f.toml:1: stats: stats 0: expected a number of seconds, at least 0.01"),
        ("events = ''", "f.toml:1: events: a value is required for '--events <FILE>' but none was supplied"),
        (
            "agent_cgroups = [\n'a/*',\n 'a/**']",
            "f.toml:3: agent_cgroups: path component \"**\": only * and ? are special",
        ),
        (
            "agent_cgroups = [\n 3]",
            "f.toml:2: agent_cgroups: this is a whole number, expected a list of texts: [\"...\", \"...\"]",
        ),
        (
            "memory_guard = 1",
            "f.toml:1: there is no key \"memory_guard\": `scx_agent config default` lists all keys",
        ),
        ("agents = 1", "f.toml:1: agents: this is a whole number, expected tables [agents.NAME]"),
        ("[agents.x]\ncoms = ['a']", "f.toml:2: an agent has no key \"coms\": did you mean `comms`?"),
        ("[agents.x]", "f.toml:1: agents.x: name its framework's `comms` or `args`, or its `cgroups`, `containers` or `labels`"),
        ("[agents.x]\ncomms = 'x'\nqos = 'background'", "f.toml:3: qos: name the `cgroups`, `containers` or `labels` of those that have it"),
        ("[agents.x]\ncgroups = 'x/*'\nqos = 'fast'", "f.toml:3: qos: \"fast\" is no class: interactive, standard or background"),
        ("[agents.x]\ncgroups = 'x/*'\nqos = ['standard', 'background']", "f.toml:3: qos: expected one value"),
        ("[agents.x]\ncgroups = 'x/*'\nweight = 0", "f.toml:3: weight: \"0\" is no weight: 1 to 10000, or `cgroup` for that of its cgroup"),
        ("[agents.x]\ncgroups = 'x/*'\ncpu_budget_s = -5", "f.toml:3: cpu_budget_s: \"-5\" is no budget: seconds of CPU time, 0 for none"),
        (
            "[agents.x]\ncgroups = '/'",
            "f.toml:2: cgroups: the root cgroup cannot be an agent; name cgroups below it, such as agents/*",
        ),
        (
            "[agents.x]\ncomms = ['sixteen-bytes-ab']",
            "f.toml:2: comms: a comm has at most 15 bytes, this one has 16",
        ),
        (
            "[policy]\nslice_us = 5",
            "f.toml:1: there is no key \"policy\": `scx_agent config default` lists all keys",
        ),
    ] {
        assert_eq!(problem(text), want);
    }
    assert!(problem("slice_us = 500\nslice_us = 600").starts_with("f.toml:2: duplicate key"));
    assert!(problem("\nslice_us = ").starts_with("f.toml:2: "));
    assert!(problem("\n\n[x").starts_with("f.toml:3: "));
}

#[test]
fn all_problems_are_told_at_once() {
    assert_eq!(parsed("slice_us = 1\nx = 2\nno_memory = 'no'").unwrap_err().len(), 3);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let dir = std::env::temp_dir().join(format!("scx_agent-file-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (keys, path) = (keys(), dir.join("c.toml"));
    let told = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        read(&path, &keys).unwrap_err()[0].0.clone()
    };
    assert_eq!(told(b"slice_us = 500\n#\xff"), format!("{}:2: this is not UTF-8 text", path.display()));
    assert!(told(&vec![b'#'; (MAX_BYTES + 1) as usize]).contains("longer than 1 MB"));
    assert!(read(&dir, &keys).unwrap_err()[0].0.contains("cannot read"));
    std::fs::remove_dir_all(dir).unwrap();
}

proptest::proptest! {
    /// Whatever stands in a file, it is read or refused, and every problem says where.
    #[test]
    fn anything_is_read_or_refused(text in "(\\PC|\n){0,80}", key in 0usize..20, value in "[-0-9a-z_.'\"\\[\\], ]{0,20}") {
        let keys = keys();
        let line = format!("{} = {value}\n", keys[key % keys.len()].name);
        for text in [text.clone(), line.clone(), format!("{line}{text}"), format!("[agents.{text}]\ncomms = {value}")] {
            for problem in parsed(&text).err().unwrap_or_default() {
                proptest::prop_assert!(problem.starts_with("f.toml:"), "{problem}");
                proptest::prop_assert!(!problem.contains('\n'), "{problem:?}");
            }
        }
    }
}
