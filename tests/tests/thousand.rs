// SPDX-License-Identifier: GPL-2.0-only
//! What the daemon costs on a host with a thousand agents at rest, and how fast it answers. The emulated
//! CPUs are some twenty to forty times slower than real ones, so times are bounds against getting worse, and
//! memory is the bound itself.

use scx_agent_tests::metrics::Page;
use scx_agent_tests::vm::Boot;

#[test]
#[ignore = "takes two to three minutes"]
fn a_thousand_agents_at_rest() {
    let left = Boot::script("thousand").run();
    left.assert_kernel_well();
    let facts = left.facts();
    println!("{facts:?}");
    assert_eq!((facts.get("found"), facts.get("status_code")), ("0", "0"), "{}", left.diagnosis());
    assert!(facts.number("rest_rss_kb") < 40_000.0, "{facts:?}");
    // At twenty times, 1 % of a real CPU.
    assert!(facts.number("rest_cpu_ms") < 2_000.0, "of 10 s: {facts:?}");
    assert!(facts.number("status") - facts.number("nothing") < 300.0, "{facts:?}");
    assert!(facts.number("scrape") - facts.number("fork") < 300.0, "{facts:?}");
    let page = Page::parse(&left.text("metrics.txt"));
    assert_eq!(page.labels("agent").len(), 101, "a hundred of their own, and the others");
    assert_eq!(page.value("scx_agent_agents", &[("phase", "llm_wait")]), Some(1000.0));
}
