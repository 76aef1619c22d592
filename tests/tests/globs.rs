// SPDX-License-Identifier: GPL-2.0-only
//! Matching of cgroup names (`bpf/classify.h`), the very code that runs in the kernel.

use proptest::prelude::*;
use scx_agent_tests::policy::{glob, glob_lengths, glob_max_steps};

/// What a glob means, said as simply as it can be.
fn oracle(g: &[u8], n: &[u8]) -> bool {
    match (g.first(), n.first()) {
        (None, None) => true,
        (Some(b'*'), None) => oracle(&g[1..], n),
        (Some(b'*'), Some(_)) => oracle(&g[1..], n) || oracle(g, &n[1..]),
        (Some(b'?'), Some(_)) => oracle(&g[1..], &n[1..]),
        (Some(a), Some(b)) => a == b && oracle(&g[1..], &n[1..]),
        _ => false,
    }
}

fn bounded(g: &str, n: &str) -> Option<bool> {
    glob(g, n, glob_max_steps()).matches
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_oracle(g in "[ab*?]{0,8}", n in "[ab*?]{0,12}") {
        prop_assert_eq!(bounded(&g, &n), Some(oracle(g.as_bytes(), n.as_bytes())));
    }

    #[test]
    fn agrees_with_the_oracle_on_longer_names(g in "[ab]{0,3}(\\*[ab?]{0,5}){0,3}", n in "[ab]{0,40}") {
        prop_assert_eq!(bounded(&g, &n), Some(oracle(g.as_bytes(), n.as_bytes())));
    }

    #[test]
    fn ends_within_the_bound_at_every_length(g in "[ab?]{0,20}(\\*[ab?]{0,20}){0,3}", n in "[ab]{0,127}") {
        prop_assume!(g.len() <= glob_lengths().0);
        let end = glob(&g, &n, u32::MAX);
        prop_assert!(end.steps <= glob_max_steps(), "{} steps", end.steps);
    }
}

#[test]
fn ends_within_the_bound_on_the_worst_names() {
    let (max_glob, max_name) = glob_lengths();
    let mut worst = (0, String::new(), String::new());
    let mut lost = Vec::new();
    for tail in 0..max_glob - 1 {
        for stars in 1..=4 {
            let head = "*a".repeat(stars - 1);
            let g = format!("{head}*{}b", "a".repeat(tail));
            if g.len() > max_glob {
                continue;
            }
            for end in ["", "b"] {
                let n = "a".repeat(max_name - end.len()) + end;
                let all = glob(&g, &n, u32::MAX);
                assert_eq!(all.matches, Some(end == "b"));
                if bounded(&g, &n) != all.matches {
                    lost.push((all.steps, g.clone(), n.clone()));
                }
                if all.steps > worst.0 {
                    worst = (all.steps, g.clone(), n);
                }
            }
        }
    }
    println!("worst: {} steps for {} on {}", worst.0, worst.1, worst.2);
    assert!(
        lost.is_empty(),
        "{} matches do not end within {} steps; one that matches: {:?}",
        lost.len(),
        glob_max_steps(),
        lost.iter().find(|(_, _, n)| n.ends_with('b'))
    );
}

#[test]
fn names_of_containers() {
    let id = "0123456789abcdef".repeat(4);
    let pod = "pod1b2c3d4e_1111_2222_3333_444455556666";
    for (g, n, expected) in [
        ("docker-*.scope", format!("docker-{id}.scope"), true),
        ("docker-*.scope", format!("docker-{id}.service"), false),
        ("docker-*.scope", "docker-.scope".into(), true),
        ("docker-*.scope", "docker.scope".into(), false),
        ("libpod-*.scope", format!("libpod-conmon-{id}.scope"), true),
        ("kubepods-*.slice", format!("kubepods-burstable-{pod}.slice"), true),
        ("*.scope", format!("cri-containerd-{id}.scope"), true),
        ("*", String::new(), true),
        ("*", "x".repeat(127), true),
        ("?", String::new(), false),
        ("a?", "ab".into(), true),
        ("", String::new(), true),
        ("", "a".into(), false),
    ] {
        assert_eq!(bounded(g, &n), Some(expected), "{g} {n}");
    }
}
