// SPDX-License-Identifier: GPL-2.0-only
use super::*;
use crate::plan::Size;

fn many(profile: Profile) -> Vec<Agent> {
    generate(&Params { profile, agents: 300, turns: 20, seed: 5, overlap_pct: 0.0 })
}

fn calls(plan: &[Agent]) -> Vec<&Call> {
    plan.iter().flat_map(|a| &a.turns).flat_map(|t| &t.calls).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for profile in [Profile::Mix, Profile::Published] {
        let p = Params { profile, ..Params::default() };
        let text = |p: &Params| serde_json::to_string(&generate(p)).unwrap();
        assert_eq!(text(&p), text(&p));
        assert_ne!(text(&p), text(&Params { seed: 2, ..p }));
    }
}

#[test]
fn the_bytes_do_not_change_between_releases() {
    let plan = generate(&Params { agents: 2, turns: 1, ..Params::default() });
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(text, include_str!("../../data/golden-mix.json").trim());
}

#[test]
fn more_agents_do_not_change_earlier_ones() {
    let few = generate(&Params { agents: 3, ..Params::default() });
    assert_eq!(few[..], generate(&Params { agents: 9, ..Params::default() })[..3]);
}

#[test]
fn mix_has_its_distribution() {
    let plan = many(Profile::Mix);
    let calls = calls(&plan);
    assert_eq!(calls.len(), 6000);
    let share = |s| calls.iter().filter(|c| c.size() == s).count() as f64 / 6000.0;
    assert!((0.57..0.63).contains(&share(Size::Small)));
    assert!((0.27..0.33).contains(&share(Size::Medium)));
    assert!((0.08..0.12).contains(&share(Size::Large)));
    assert!(calls.iter().all(|c| c.size() == Size::Large || c.width() == 1));
    assert_eq!(calls.iter().map(|c| c.width()).max(), Some(6));
    let mean = calls.iter().map(|c| c.cpu_ms()).sum::<f64>() / 6000.0;
    assert!((620.0..780.0).contains(&mean), "{mean}");
    let thinks: Vec<f64> = plan.iter().flat_map(|a| &a.turns).map(|t| t.think_ms).collect();
    let mean = thinks.iter().sum::<f64>() / thinks.len() as f64;
    assert!((1900.0..2100.0).contains(&mean), "{mean}");
}

#[test]
fn overlap_is_an_option() {
    let plan = generate(&Params { agents: 200, turns: 10, overlap_pct: 10.0, ..Params::default() });
    let two = plan.iter().flat_map(|a| &a.turns).filter(|t| t.calls.len() == 2).count();
    assert!((140..260).contains(&two), "{two}");
    let numbers: Vec<u32> = plan[0].turns.iter().flat_map(|t| &t.calls).map(|c| c.call).collect();
    assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>());
}

#[test]
fn published_has_its_figures() {
    let plan = many(Profile::Published);
    let calls = calls(&plan);
    let mut walls: Vec<f64> = calls.iter().map(|c| c.span_ms()).collect();
    walls.sort_by(f64::total_cmp);
    let q = |p: f64| walls[(p * walls.len() as f64) as usize];
    assert!((4600.0..5800.0).contains(&q(0.5)), "{}", q(0.5));
    assert!((25000.0..33000.0).contains(&q(0.99)), "{}", q(0.99));
    let mut pct: Vec<f64> = calls
        .iter()
        .flat_map(|c| &c.stages)
        .map(|s| 100.0 * s.cpu_ms * s.width as f64 / (s.wait_ms + s.cpu_ms).max(0.001))
        .collect();
    pct.sort_by(f64::total_cmp);
    let q = |p: f64| pct[(p * pct.len() as f64) as usize];
    assert!((2.0..4.5).contains(&q(0.5)), "{}", q(0.5));
    assert!((85.0..110.0).contains(&q(0.95)), "{}", q(0.95));
    assert!((140.0..400.0).contains(&q(0.99)), "{}", q(0.99));
    let big = calls.iter().filter(|c| c.stages.iter().any(|s| s.mem_mb >= 500.0)).count();
    assert!((40..220).contains(&big), "{big}");
}
