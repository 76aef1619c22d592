// SPDX-License-Identifier: GPL-2.0-only

use super::*;
use proptest::prelude::*;

pub fn tunables() -> Tunables {
    Tunables {
        slack_pct: 25,
        slack_min: 64 * MB,
        settle: Duration::from_secs(1),
        reserve: 512 * MB,
        pressure_pct: 10.0,
        oom_adj: 500,
        no_brake: false,
        idle_after: None,
    }
}

fn free(floor: u64) -> Bounds {
    Bounds { floor, original: Limit::Max, max: Limit::Max }
}

fn used(current: u64, swap: u64) -> Usage {
    Usage { current, cache: 0, swap }
}

#[test]
fn baseline_falls_at_once_and_rises_slowly() {
    let second = Duration::from_secs(1);
    assert_eq!(baseline(None, &used(200, 100), second, Trust::No), 300);
    assert_eq!(baseline(Some(300), &used(200, 0), second, Trust::No), 200);
    assert_eq!(baseline(Some(1000), &used(7000, 0), second, Trust::No), 1100);
    assert_eq!(baseline(Some(1000), &used(7000, 0), 99 * second, Trust::No), 7000);
    assert_eq!(baseline(Some(1000), &used(3000, 500), second, Trust::OnlyFramework), 3500);
    assert_eq!(baseline(Some(1000), &used(3000, 500), second, Trust::Stalls), 3000);
}

#[test]
fn swapping_out_is_neither_less_need_nor_more() {
    let hour = Duration::from_secs(3600);
    assert_eq!(baseline(Some(300), &used(150, 200), hour, Trust::No), 300);
    let cache = Usage { current: 1000, cache: 700, swap: 0 };
    assert_eq!(baseline(Some(300), &cache, hour, Trust::No), 300);
}

#[test]
fn slack_is_a_share_but_not_too_little() {
    assert_eq!(tunables().floor(400 * MB), 500 * MB);
    assert_eq!(tunables().floor(100 * MB), 164 * MB);
    assert_eq!(tunables().floor(u64::MAX), u64::MAX);
}

#[test]
fn shortage_begins_and_ends_apart() {
    let t = tunables();
    assert!(!t.is_short(false, 513 * MB, 0.0));
    assert!(t.is_short(false, 511 * MB, 0.0));
    assert!(t.is_short(true, 700 * MB, 0.0));
    assert!(!t.is_short(true, 800 * MB, 0.0));
    assert!(t.is_short(false, 9999 * MB, 11.0));
    assert!(t.is_short(true, 9999 * MB, 6.0));
    assert!(!t.is_short(true, 9999 * MB, 4.0));
}

#[test]
fn leftovers_go_and_the_limit_follows() {
    let bounds = free(264 * MB);
    let after_tool = Usage { current: 1200 * MB, cache: 900 * MB, swap: 0 };
    let s = settle(&after_tool, &bounds, false, false);
    assert_eq!(s.rule, "reclaim leftovers");
    assert_eq!((s.reclaim, s.cache_only), (128 * MB, true));
    assert!(s.high > Limit::Bytes(1200 * MB), "never below usage: {s:?}");
    assert_eq!(settle(&after_tool, &bounds, true, false).reclaim, 0, "it stalls: no more");
    let anon = Usage { cache: 0, ..after_tool };
    assert!(!settle(&anon, &bounds, false, true).cache_only);
    let settled = settle(&Usage { current: 210 * MB, cache: 0, swap: 0 }, &bounds, false, false);
    assert_eq!((settled.high, settled.reclaim), (Limit::Bytes(264 * MB), 0));
}

#[test]
fn bounds_of_others_hold() {
    let usage = Usage { current: 200 * MB, cache: 0, swap: 0 };
    let original = Limit::Bytes(100 * MB);
    let s = settle(&usage, &Bounds { original, ..free(264 * MB) }, false, false);
    assert_eq!(s.high, original, "never above what it was");
    let max = Limit::Bytes(300 * MB);
    let s = settle(&usage, &Bounds { max, ..free(264 * MB) }, false, false);
    assert_eq!(s.high, Limit::Max, "no room for a limit under memory.max");
    let max = Limit::Bytes(400 * MB);
    let s = settle(&Usage { current: 390 * MB, ..usage }, &Bounds { max, ..free(264 * MB) }, false, false);
    assert!(s.high.bytes() <= 400 * MB / 100 * 82, "{s:?}");
}

fn burst(current_mb: u64, needs: bool) -> Burst {
    Burst { current: current_mb * MB, needs, weight: 100, bounds: free(200 * MB) }
}

#[test]
fn the_last_burst_is_throttled_first() {
    let grants = share(&[burst(1000, true), burst(1000, true), burst(1000, true)], 0, None);
    assert_eq!(grants[0].rule, "first burst goes on");
    assert!(grants[0].high > Limit::Bytes(1000 * MB));
    assert_eq!(grants[2].high, Limit::Bytes(1000 * MB), "keeps what it has, gets no more");
    let grants = share(&[burst(1000, false), burst(1000, false)], -1_000_000 * MB as i64, None);
    assert_eq!(grants[0].rule, "burst does not grow", "the first keeps what it has");
    let grants = share(&[burst(1000, true), burst(1000, true)], -100 * MB as i64, None);
    assert!(grants[0].high > Limit::Bytes(1000 * MB));
    assert_eq!(grants[1].rule, "later burst gives back");
    assert!(grants[1].high < Limit::Bytes(1000 * MB) && grants[1].high >= Limit::Bytes(874 * MB));
}

#[test]
fn one_more_important_than_all_others_is_open() {
    let most = Burst { weight: 101, ..burst(1000, true) };
    let grants = share(&[most, burst(1000, true), burst(1000, true)], -500 * MB as i64, None);
    assert_eq!((grants[0].high, grants[0].rule), (Limit::Max, "most important burst is open"));
    assert_eq!(grants[1].rule, "share of headroom by weight", "not the first");
    assert_eq!(grants[2].rule, "later burst gives back");
    assert_eq!(grants[2].high, Limit::Bytes(500 * MB), "as much as is short, but half at a time");
    let idle = [Burst { needs: false, ..most }, burst(1000, true), burst(1000, true)];
    assert_eq!(share(&idle, 0, None)[1].rule, "first burst goes on", "somebody always does");
    assert_eq!(share(&idle, -500 * MB as i64, None)[2].high, Limit::Bytes(875 * MB), "an eighth, for nobody");
    let original = Limit::Bytes(1200 * MB);
    let held = Burst { bounds: Bounds { original, ..free(200 * MB) }, ..most };
    assert_eq!(share(&[held, burst(1000, true)], 0, None)[0].high, original);
    let equal = share(&[most, most], 0, None);
    assert_eq!(equal[0].high, Limit::Bytes(1008 * MB), "the older of two, little by little");
    assert_eq!(share(&[most], 0, None)[0].high, Limit::Bytes(1008 * MB), "alone");
}

#[test]
fn all_of_the_greatest_weight_may_be_open() {
    let most = Burst { weight: 101, ..burst(1000, true) };
    let bursts = [most, Burst { needs: false, ..most }, burst(1000, true), burst(1000, true)];
    let rules = |from| share(&bursts, 0, Some(from)).iter().map(|g| g.rule).collect::<Vec<_>>();
    let open = "most important burst is open";
    assert_eq!(rules(101), [open, open, "share of headroom by weight", "share of headroom by weight"]);
    assert_eq!(rules(100), [open; 4]);
    assert_eq!(rules(102)[0], "first burst goes on", "who has more makes no call now");
    assert!(urgent(&bursts, Some(101)) && !urgent(&bursts, Some(102)));
}

fn granted(mb: u64) -> Grant {
    Grant { high: Limit::Bytes(mb * MB), budget: mb * MB, rule: "" }
}

#[test]
fn only_what_does_not_give_back_by_itself_is_taken() {
    let grant = granted(900);
    assert_eq!(take_back(&burst(1000, true), &grant, false), 0);
    assert_eq!(take_back(&burst(1000, true), &grant, true), 100 * MB);
    assert_eq!(take_back(&burst(1000, false), &grant, false), 100 * MB);
    assert_eq!(take_back(&burst(800, false), &grant, true), 0);
}

#[test]
fn those_are_braked_that_are_at_their_limit_and_grow() {
    let over = |current: u64, needs| over_share(&burst(current, needs), &granted(1000));
    assert!(over(1200, true) && over(1000, true) && over(999, true));
    assert!(!over(990, true), "it has room");
    assert!(!over(1200, false), "it does not grow");
    // Of those that share, the first is never braked, and the last is.
    let bursts = [burst(1000, true), burst(1000, true)];
    let grants = share(&bursts, 0, None);
    assert!(!over_share(&bursts[0], &grants[0]) && over_share(&bursts[1], &grants[1]));
    // Nor if it is near a limit of somebody else, under which its own has to stay.
    let max = Limit::Bytes(1100 * MB);
    let alone = [Burst { bounds: Bounds { max, ..free(200 * MB) }, ..burst(1000, true) }];
    let grant = &share(&alone, 500 * MB as i64, None)[0];
    assert!(grant.high < Limit::Bytes(1000 * MB) && !over_share(&alone[0], grant), "{grant:?}");
    let sleeps = Burst { needs: false, ..alone[0] };
    assert_eq!(take_back(&sleeps, &share(&[sleeps], 0, None)[0], false), 0);
}

#[test]
fn the_next_look_is_before_the_reserve_is_used() {
    let (t, ms) = (tunables(), Duration::from_millis);
    let next = |mb: u64, lost_mb_s: u64| t.next_look(mb * MB, (lost_mb_s * MB) as f64, Duration::ZERO);
    assert_eq!(next(8000, 0), ms(250));
    assert_eq!(next(8000, 1000), ms(250));
    // Half of 200 MB above the reserve.
    assert_eq!(next(712, 1000), ms(100));
    assert_eq!(next(712, 100_000), ms(50));
    assert_eq!(next(100, 1), ms(50));
    assert_eq!(next(100, 0), ms(250), "nothing changes");
    assert_eq!(t.next_look(0, 1e12, ms(20)), ms(400), "where looking takes long");
    assert_eq!(t.next_look(0, 1e12, ms(3000)), ms(500), "but never for long");
}

#[test]
fn headroom_goes_by_weight_and_age_to_those_that_grow() {
    let rich = Burst { weight: 300, ..burst(500, true) };
    let grants = share(&[burst(500, false), burst(500, true), rich], 500 * MB as i64, None);
    assert_eq!(grants[0].rule, "burst does not grow");
    // 100 : 300 by weight, 2 : 1 by age.
    assert_eq!(grants[1].high, Limit::Bytes(700 * MB));
    assert_eq!(grants[2].high, Limit::Bytes(800 * MB));
}

#[test]
fn small_changes_are_not_worth_a_write() {
    assert!(worth(Limit::Max, Limit::Bytes(1)));
    assert!(!worth(Limit::Bytes(100 * MB), Limit::Bytes(101 * MB)));
    assert!(worth(Limit::Bytes(100 * MB), Limit::Bytes(105 * MB)));
    assert!(!worth(Limit::Bytes(6400 * MB), Limit::Bytes(6450 * MB)));
}

fn any_limit() -> impl Strategy<Value = Limit> {
    prop_oneof![Just(Limit::Max), any::<u64>().prop_map(Limit::Bytes), (0u64..1 << 40).prop_map(Limit::Bytes)]
}

fn any_bounds() -> impl Strategy<Value = Bounds> {
    (prop_oneof![any::<u64>(), 0u64..1 << 40], any_limit(), any_limit())
        .prop_map(|(floor, original, max)| Bounds { floor, original, max })
}

/// What holds for every limit that is set.
fn respects(high: Limit, b: &Bounds) -> bool {
    let under_max = match b.max {
        Limit::Bytes(max) => high.bytes() <= max / 100 * 82,
        Limit::Max => true,
    };
    let page = Limit::pages(b.floor).bytes();
    high == b.original || (high < b.original && high.bytes() >= page && under_max)
}

proptest! {
    #[test]
    fn settle_respects_bounds(
        current in any::<u64>(), cache in any::<u64>(), bounds in any_bounds(),
        stalled: bool, pressed: bool,
    ) {
        let s = settle(&Usage { current, cache, swap: 0 }, &bounds, stalled, pressed);
        prop_assert!(respects(s.high, &bounds), "{s:?}");
        prop_assert!(s.reclaim <= current.saturating_sub(bounds.floor).max(STEP_MIN));
        prop_assert!(s.reclaim <= 512 * MB);
    }

    #[test]
    fn shares_respect_bounds_and_the_pool(
        bursts in prop::collection::vec(
            (0u64..1 << 36, any::<bool>(), any::<u64>(), 0u64..1 << 34).prop_map(
                |(current, needs, weight, floor)| Burst { current, needs, weight, bounds: free(floor) }),
            0..12),
        headroom in -(1i64 << 38)..1i64 << 38,
        open_from in prop::option::of(any::<u64>()),
    ) {
        let grants = share(&bursts, headroom, open_from);
        prop_assert_eq!(grants.len(), bursts.len());
        let mut growth = 0u64;
        let open = match open_from {
            Some(weight) => bursts.iter().take_while(|b| b.weight >= weight).count(),
            None => usize::from(bursts.len() > 1 && bursts[0].weight > bursts[1].weight),
        };
        for (i, (b, g)) in bursts.iter().zip(&grants).enumerate() {
            prop_assert!(respects(g.high, &b.bounds), "{b:?} {g:?}");
            prop_assert!(i > 0 || !over_share(b, g), "the first: {b:?} {g:?}");
            prop_assert!(take_back(b, g, true) <= b.current.saturating_sub(b.bounds.floor));
            if i < open {
                prop_assert_eq!(g.high, b.bounds.original);
                continue;
            }
            growth += g.high.bytes().saturating_sub(b.current.max(b.bounds.floor));
        }
        let spare = (bursts.len() as u64 + 1) * (FIRST_GROWTH + IDLE_GROWTH);
        prop_assert!(growth <= headroom.max(0) as u64 + spare, "{growth} of {headroom}");
        prop_assert_eq!(share(&bursts, headroom, open_from), grants);
    }

    #[test]
    fn baselines_lie_between(
        old in any::<u64>(), current in any::<u64>(), cache in any::<u64>(), swap in any::<u64>(),
        ms in 0u64..1 << 40,
    ) {
        let usage = Usage { current, cache, swap };
        let all = usage.resident().saturating_add(swap);
        for trust in [Trust::No, Trust::OnlyFramework, Trust::Stalls] {
            let new = baseline(Some(old), &usage, Duration::from_millis(ms), trust);
            prop_assert!((old.min(all)..=old.max(all)).contains(&new), "{trust:?} {new}");
        }
    }
}

#[test]
fn calls_share_what_their_agent_may_use() {
    let mb = |n: u64| Limit::Bytes(n * MB);
    assert_eq!(split(Limit::Max, 100 * MB, &[MB, MB]), [Limit::Max; 2]);
    assert_eq!(split(mb(400), 300 * MB, &[]), []);
    // 100 MB are the framework's: 300 are left for 200, or for 400.
    assert_eq!(
        split(mb(400), 300 * MB, &[196 * MB, 4 * MB]),
        [Limit::pages(292 * MB + 160_000), Limit::pages(7 * MB + 887_000)]
    );
    assert_eq!(split(mb(400), 500 * MB, &[300 * MB, 100 * MB]), [mb(225), mb(75)]);
    // What the framework has beyond the limit is not the calls' to give.
    assert_eq!(split(mb(50), 300 * MB, &[200 * MB]), [mb(4)]);
    // Read at different moments, the parts may be more than the whole.
    assert_eq!(split(mb(400), 100 * MB, &[300 * MB]), [mb(400)]);
    assert_eq!(split(mb(400), u64::MAX, &[u64::MAX, u64::MAX])[0], mb(400));
}
