// SPDX-License-Identifier: GPL-2.0-only
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// A directory that goes away again.
struct Temp(PathBuf);

impl Temp {
    fn new(name: &str) -> Temp {
        let p = std::env::temp_dir().join(format!("agenttraces-import-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&p);
        std::fs::create_dir_all(p.join("set1/task_7_owner__repo-1/attempt_1")).unwrap();
        Temp(p)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.join("set1/task_7_owner__repo-1/attempt_1").join(file), text).unwrap();
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lifetime averages of a container 0.2 s old at the first sample, with these CPU loads (cores)
/// in the seconds after it.
fn averages(loads: &[f64]) -> Vec<Raw> {
    let age = 0.2;
    let mut cpu_s = 0.18;
    let mut out = vec![Raw { epoch: 1000.0, cpu: Some(90.0), mem_mb: Some(185.0) }];
    for (i, load) in loads.iter().enumerate() {
        cpu_s += load;
        let pct = 100.0 * cpu_s / (age + i as f64 + 1.0);
        let pct = (pct * 100.0).round() / 100.0;
        out.push(Raw { epoch: 1001.0 + i as f64, cpu: Some(pct), mem_mb: Some(185.0) });
    }
    out
}

#[test]
fn cpu_is_reconstructed_from_lifetime_averages() {
    let loads = [0.5, 0.0, 0.0, 0.3, 0.02, 2.5, 0.0, 1.0];
    let raw = averages(&loads);
    assert!((container_age(&raw) - 0.2).abs() < 0.02, "{}", container_age(&raw));
    let got = reconstruct(&raw);
    for (load, s) in loads.iter().zip(&got[1..]) {
        let pct = s.cpu_pct.unwrap();
        assert!((pct - 100.0 * load).abs() < 2.0, "{pct} for {load}");
    }
}

#[test]
fn a_restarted_container_is_not_guessed_at() {
    let mut raw = averages(&[0.5, 0.0, 0.5, 0.5, 0.5, 0.5]);
    raw[4].cpu = Some(1.0);
    raw[5].cpu = None;
    let got = reconstruct(&raw);
    assert_eq!(got[4].cpu_pct, None);
    assert_eq!(got[5].cpu_pct, None);
    assert!(got[6].cpu_pct.is_some());
}

#[test]
fn memory_that_contradicts_its_percentage_is_dropped() {
    assert_eq!(memory("185.5MB / 16.19GB", Some(1.15)), Some(185.5));
    assert_eq!(memory("18.5MB / 16.19GB", Some(1.15)), None);
    assert_eq!(memory("185.5MB / 134.5GB", Some(0.14)), Some(185.5));
    assert_eq!(memory("185.5MB / 16.19GB", None), Some(185.5));
    assert_eq!(memory("185.5MB", Some(1.0)), None);
    let mut raw = averages(&[0.1, 0.1]);
    raw[1].mem_mb = None;
    assert_eq!(reconstruct(&raw)[1].mem_mb, 185.0);
}

const RESOURCES: &str = r#"{"samples":[
 {"epoch":1770415921.2,"mem_usage":"9.5MB / 16.19GB","mem_percent":"0.06%","cpu_percent":"88.84%"},
 {"epoch":1770415922.2,"mem_usage":"185.5MB / 16.19GB","mem_percent":"1.15%","cpu_percent":"60.00%"},
 {"epoch":1770415923.2,"mem_usage":"205.5MB / 16.19GB","mem_percent":"1.27%","cpu_percent":"40.00%"}]}"#;

const CALLS: &str = r#"[
 {"timestamp":"2026-02-06T22:12:02.200Z","tool":"Bash","id":"b","input":{"command":"pytest -x"},"end_timestamp":"2026-02-06T22:12:03.000Z"},
 {"timestamp":"2026-02-06T22:12:01.700Z","tool":"Read","id":"a","input":{"file_path":"/x"}}]"#;

const TRACE: &str = r#"{"isSidechain":true,"message":{"content":[{"type":"tool_use","id":"b"}]}}
{"isSidechain":false,"message":{"content":"hello"}}
"#;

#[test]
fn an_attempt_becomes_a_task() {
    let t = Temp::new("good");
    t.write("resources.json", RESOURCES);
    t.write("tool_calls.json", CALLS);
    t.write("trace.jsonl", TRACE);
    let (tasks, skipped) = import(std::slice::from_ref(&t.0)).unwrap();
    assert!(skipped.is_empty());
    let task = &tasks[0];
    assert_eq!(
        (task.id.as_str(), task.set.as_str(), task.attempt.as_str()),
        ("owner__repo-1", "set1", "attempt_1")
    );
    assert_eq!(task.calls.len(), 2);
    assert_eq!((task.calls[0].tool.as_str(), task.calls[0].end), ("Read", None));
    let bash = &task.calls[1];
    assert_eq!(
        (bash.start, bash.end, bash.cat.as_deref(), bash.sidechain),
        (1.0, Some(1.8), Some("test"), 1)
    );
    assert_eq!(task.samples.len(), 3);
    assert_eq!(task.peak_mb, 205.5);
    // What was imported can be read back.
    let line = serde_json::to_string(task).unwrap();
    assert_eq!(&crate::traces::parse_task(&line).unwrap(), task);
}

#[test]
fn broken_files_are_named() {
    let t = Temp::new("bad");
    let fails = |t: &Temp| format!("{:#}", import(std::slice::from_ref(&t.0)).unwrap_err());
    assert!(fails(&t).contains("no attempt below it"));
    t.write("resources.json", "{\"samples\":[\n{]}");
    assert!(fails(&t).contains("resources.json:2: not JSON"), "{}", fails(&t));
    t.write("resources.json", r#"{"samples":7}"#);
    assert!(fails(&t).contains("field \"samples\": expected an array"));
    t.write("resources.json", r#"{"samples":[{"epoch":"x"}]}"#);
    assert!(fails(&t).contains("\"samples[0].epoch\": expected a number (s since 1970), found a string"));
    t.write("resources.json", RESOURCES);
    let (tasks, skipped) = import(std::slice::from_ref(&t.0)).unwrap();
    assert!(tasks.is_empty() && skipped[0].contains("no tool_calls.json"));
    t.write("tool_calls.json", r#"[{"timestamp":"yesterday","tool":"Bash"}]"#);
    assert!(fails(&t).contains("\"[0].timestamp\": expected a time like"));
    t.write("tool_calls.json", CALLS);
    t.write("trace.jsonl", "{}\nnope\n");
    assert!(fails(&t).contains("trace.jsonl:2: not JSON"));
}

#[test]
fn task_names_lose_their_number() {
    assert_eq!(task_name("task_3_12rambau__sepal_ui-501"), "12rambau__sepal_ui-501");
    assert_eq!(task_name("SQL_Data_Easy_2"), "SQL_Data_Easy_2");
    assert_eq!(task_name("task_force"), "task_force");
}

/// Folders of tests that run at once are told apart.
fn folder() -> Temp {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    Temp::new(&format!("any-{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
}

/// What was imported is a task of the recorded format.
fn is_recorded(tasks: &[Task]) -> bool {
    let is_read = |t: &Task| {
        let again = crate::traces::parse_task(&serde_json::to_string(t).unwrap());
        again.is_ok_and(|a| (a.calls.len(), a.samples.len()) == (t.calls.len(), t.samples.len()))
    };
    tasks.iter().all(is_read)
}

proptest! {
    #[test]
    fn damaged_files_become_tasks_or_are_refused(
        which in 0..3usize, others in vec((any::<Index>(), any::<u8>()), 0..4), end in any::<Index>(),
        cut in any::<bool>(),
    ) {
        let t = folder();
        for (i, (name, text)) in
            [("resources.json", RESOURCES), ("tool_calls.json", CALLS), ("trace.jsonl", TRACE)].iter().enumerate()
        {
            let mut bytes = text.as_bytes().to_vec();
            if i == which {
                for (at, other) in &others {
                    let at = at.index(bytes.len());
                    bytes[at] = *other;
                }
                if cut {
                    bytes.truncate(end.index(bytes.len()));
                }
            }
            t.write(name, &String::from_utf8_lossy(&bytes));
        }
        if let Ok((tasks, _)) = import(std::slice::from_ref(&t.0)) {
            prop_assert!(is_recorded(&tasks), "{tasks:?}");
        }
    }

    #[test]
    fn any_numbers_become_tasks_or_are_refused(
        samples in vec((any::<f64>(), "[0-9]{1,320}", "[0-9]{1,320}", 0.0..3e9f64), 2..6), sane in any::<bool>()
    ) {
        let mut samples = samples;
        samples.sort_by(|a, b| if sane { a.3.total_cmp(&b.3) } else { a.0.total_cmp(&b.0) });
        let lines: Vec<String> = samples
            .iter()
            .map(|(any, mem, cpu, epoch)| {
                let epoch = if sane { epoch } else { any };
                format!(r#"{{"epoch":{epoch:e},"mem_usage":"{mem}GB / {mem}0GB","cpu_percent":"{cpu}%"}}"#)
            })
            .collect();
        let t = folder();
        t.write("resources.json", &format!(r#"{{"samples":[{}]}}"#, lines.join(",")));
        t.write("tool_calls.json", CALLS);
        if let Ok((tasks, _)) = import(std::slice::from_ref(&t.0)) {
            prop_assert!(is_recorded(&tasks), "{tasks:?}");
        }
    }
}
