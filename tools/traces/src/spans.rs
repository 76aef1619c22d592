// SPDX-License-Identifier: GPL-2.0-only
//! Spans of time, from and to.

/// From and to, in s.
pub type Span = (f64, f64);

/// The same time in as few spans as can be, in order.
pub fn union(spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut all: Vec<Span> = spans.into_iter().collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out: Vec<Span> = Vec::new();
    for (from, to) in all {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

/// True if one of `spans`, as [`union`] makes them, and `span` meet.
pub fn meets(spans: &[Span], span: Span) -> bool {
    let at = spans.partition_point(|s| s.1 < span.0);
    spans.get(at).is_some_and(|s| s.0 <= span.1)
}

/// Time that two spans have in common, in s.
pub fn overlap_s(a: Span, b: Span) -> f64 {
    (a.1.min(b.1) - a.0.max(b.0)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn spans_are_joined_and_met() {
        let spans = union([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (3.0, 4.0)]);
        assert_eq!(spans, [(0.0, 4.0), (5.0, 6.0)]);
        for (span, want) in [
            ((4.1, 4.9), false),
            ((4.0, 4.5), true),
            ((4.5, 5.0), true),
            ((7.0, 8.0), false),
            ((-2.0, -1.0), false),
            ((-1.0, 9.0), true),
        ] {
            assert_eq!(meets(&spans, span), want, "{span:?}");
        }
        assert_eq!((overlap_s((0.0, 2.0), (1.0, 5.0)), overlap_s((0.0, 1.0), (2.0, 3.0))), (1.0, 0.0));
    }

    /// Among few whole numbers, so that ends meet.
    fn any_span() -> impl Strategy<Value = Span> {
        (0..30u8, 0..10u8).prop_map(|(from, length)| (f64::from(from), f64::from(from + length)))
    }

    proptest! {
        #[test]
        fn a_union_is_the_same_time(spans in vec(any_span(), 0..12), other in any_span()) {
            let joined = union(spans.iter().copied());
            prop_assert!(joined.windows(2).all(|w| w[0].1 < w[1].0), "{joined:?}");
            let has = |spans: &[Span], t: f64| spans.iter().any(|s| s.0 <= t && t <= s.1);
            for t in (0..80).map(|t| f64::from(t) / 2.0) {
                prop_assert_eq!(has(&joined, t), has(&spans, t), "{} in {:?}", t, joined);
            }
            let meet = spans.iter().any(|s| s.0 <= other.1 && other.0 <= s.1);
            prop_assert_eq!(meets(&joined, other), meet);
            let common: f64 = joined.iter().map(|s| overlap_s(*s, other)).sum();
            let inside = |t: &f64| has(&spans, *t) && other.0 < *t && *t < other.1;
            let seconds = (0..40).map(|t| f64::from(t) + 0.5).filter(inside).count();
            prop_assert_eq!(common, seconds as f64);
        }
    }
}
