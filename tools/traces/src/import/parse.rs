// SPDX-License-Identifier: GPL-2.0-only
//! The small formats inside the raw files.

/// More than these nothing has, and a line that says so is broken: 10,000 cores, and 10^18 bytes.
const PERCENT_MAX: f64 = 1e6;
const MB_MAX: f64 = 1e12;

/// `66.25%`.
pub fn percent(text: &str) -> Option<f64> {
    let n: f64 = text.trim().strip_suffix('%')?.trim().parse().ok()?;
    (0.0..=PERCENT_MAX).contains(&n).then_some(n)
}

/// `185.5MB`, `1.2GiB` ... in MB (10^6 bytes).
pub fn megabytes(text: &str) -> Option<f64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let n: f64 = text[..unit_at].trim().parse().ok()?;
    let unit = match &text[unit_at..] {
        "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let mb = n * unit / 1e6;
    (0.0..=MB_MAX).contains(&mb).then_some(mb)
}

/// The end of the year 9999, in s since 1970.
pub const EPOCH_MAX: f64 = 253_402_300_800.0;

/// `2026-02-06T22:12:06.627Z` in s since 1970.
pub fn epoch(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut d = date.split('-').map(|p| p.parse::<i64>().ok());
    let (year, month, day) = (d.next()??, d.next()??, d.next()??);
    let mut t = time.split(':');
    let (hour, minute): (i64, i64) = (t.next()?.parse().ok()?, t.next()?.parse().ok()?);
    let second: f64 = t.next()?.parse().ok()?;
    let sane = (0..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..61.0).contains(&second);
    if !sane || d.next().is_some() || t.next().is_some() {
        return None;
    }
    // Days since 1970: years start in March, so that a leap day is the last of its year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day
        - 1
        - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60) as f64 + second)
}

/// The category of a shell command.
pub fn category(cmd: &str) -> &'static str {
    let has = |words: &[&str]| {
        cmd.split(|c: char| c.is_whitespace() || ";&|()".contains(c))
            .any(|w| words.contains(&w.rsplit('/').next().unwrap_or(w)))
    };
    if cmd.contains("pytest") || cmd.contains("unittest") || cmd.contains(" test") || has(&["tox", "ctest"]) {
        "test"
    } else if has(&["pip", "pip3", "apt", "apt-get", "npm", "conda", "uv", "poetry"]) {
        "pkg"
    } else if has(&["make", "cmake", "cargo", "gcc", "g++", "ninja", "go"]) {
        "build"
    } else if has(&["git"]) {
        "git"
    } else if has(&["python", "python3"]) {
        if cmd.contains(" -c") || cmd.contains("<<") {
            "pysnip"
        } else {
            "pyrun"
        }
    } else if has(&["grep", "rg", "sed", "awk", "cat", "head", "tail", "wc", "diff"]) {
        "text"
    } else if has(&["ls", "find", "cp", "mv", "rm", "mkdir", "chmod", "tree"]) {
        "files"
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times() {
        assert_eq!(epoch("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(
            epoch("2026-02-06T22:12:01.274Z").map(|t| (t * 1000.0).round()),
            Some(1_770_415_921_274.0)
        );
        assert_eq!(epoch("2024-02-29T12:00:00Z"), Some(1_709_208_000.0));
        for bad in ["2026-02-06 22:12:01Z", "2026-13-06T22:12:01Z", "2026-02-06T22:12:01", "x"] {
            assert_eq!(epoch(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_and_percentages() {
        assert_eq!(megabytes("185.5MB"), Some(185.5));
        assert_eq!(megabytes(" 134.5GB"), Some(134_500.0));
        assert_eq!(megabytes("1MiB"), Some(1.048576));
        assert_eq!(megabytes("12 parsecs"), None);
        assert_eq!(megabytes("MB"), None);
        assert_eq!(percent("66.25%"), Some(66.25));
        assert_eq!(percent("--"), None);
    }

    #[test]
    fn categories() {
        for (cmd, cat) in [
            ("python -m pytest tests -v", "test"),
            ("pip install -e .", "pkg"),
            ("cd /x && git diff", "git"),
            ("python -c 'import x'", "pysnip"),
            ("python3 script.py", "pyrun"),
            ("ls -la", "files"),
            ("grep -rn foo .", "text"),
            ("make -j8", "build"),
            ("sleep 5", "other"),
        ] {
            assert_eq!(category(cmd), cat, "{cmd}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_in_bounds_or_none(
            text in "(?s).{0,40}", number in "[-+]?[0-9.]{0,400}", unit in "%|[kMG]i?B|s",
        ) {
            category(&text);
            for text in [text, number + &unit] {
                prop_assert!(percent(&text).is_none_or(|p| (0.0..=PERCENT_MAX).contains(&p)), "{text}");
                prop_assert!(megabytes(&text).is_none_or(|mb| (0.0..=MB_MAX).contains(&mb)), "{text}");
                prop_assert_eq!(epoch(&text), None);
            }
        }

        #[test]
        fn days_are_those_of_the_calendar(days in 0..200_000i64) {
            // Told by counting years, then months.
            let (mut y, mut rest) = (1970, days);
            let leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
            while rest >= 365 + i64::from(leap(y)) {
                rest -= 365 + i64::from(leap(y));
                y += 1;
            }
            let mut m = 1;
            let length = |m: i64| match m {
                2 => 28 + i64::from(leap(y)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            while rest >= length(m) {
                rest -= length(m);
                m += 1;
            }
            let text = format!("{y}-{m:02}-{:02}T00:01:02Z", rest + 1);
            prop_assert_eq!(epoch(&text), Some((days * 86_400 + 62) as f64), "{}", text);
        }

        #[test]
        fn any_year_is_in_bounds_or_none(year in "[-+]?[0-9]{1,19}") {
            let told = epoch(&format!("{year}-12-31T23:59:59Z"));
            prop_assert!(told.is_none_or(|s| (-1e11..=EPOCH_MAX).contains(&s)), "{year}: {told:?}");
        }
    }
}
