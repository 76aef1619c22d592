// SPDX-License-Identifier: GPL-2.0-only

use super::Category::*;
use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(expected: Category, lines: &[&str]) {
    for line in lines {
        let words: Vec<String> = shlex::split(line).unwrap();
        assert_eq!(category(&words), expected, "{line}");
    }
    check_lines(expected, lines);
}

/// The same for lines that need a shell.
#[track_caller]
fn check_lines(expected: Category, lines: &[&str]) {
    for line in lines {
        assert_eq!(category(&["/bin/bash", "-c", line]), expected, "bash -c {line}");
        let eval = format!(
            "source /home/dev/.claude/snapshot-bash-1.sh 2>/dev/null || true && eval {} \\< /dev/null && pwd -P >| /tmp/c-cwd",
            shlex::try_quote(line).unwrap()
        );
        assert_eq!(category(&["/usr/bin/zsh", "-lc", &eval]), expected, "{eval}");
    }
}

#[test]
fn single_commands() {
    check(
        Test,
        &[
            "pytest -x tests/",
            "python3.12 -m pytest -q",
            "/usr/bin/python -X dev -m unittest discover",
            "npm test",
            "npm run test:unit -- --watch=false",
            "cargo test --release",
            "cargo +nightly nextest run",
            "go test ./...",
            "npx jest",
            "node node_modules/.bin/vitest run",
            "make -C sub test",
            "timeout 60 pytest",
            "tox -e py311",
            "env A=1 B=2 pytest",
            "CI=1 pytest",
            "mvn -q test",
            "./gradlew test",
            "bundle exec rspec",
            "uv run pytest",
            "poetry run python -m pytest",
            "python manage.py test",
            "sudo -u nobody ctest",
        ],
    );
    check(
        Build,
        &[
            "make -j8",
            "cargo build",
            "cargo clippy --workspace",
            "gcc -O2 -c a.c",
            "npm run build",
            "tsc -p .",
            "go build ./...",
            "cmake --build build",
            "ninja -C out",
            "docker build .",
            "nice -n 10 make",
            "./configure",
            "python setup.py build_ext",
            "yarn build",
        ],
    );
    check(
        PackageInstall,
        &[
            "pip install -r requirements.txt",
            "python -m pip install x",
            "apt-get -y install gcc",
            "npm ci",
            "npm i",
            "pnpm add left-pad",
            "yarn",
            "uv pip install x",
            "uv sync",
            "poetry install",
            "cargo install ripgrep",
            "go mod download",
            "gem install rake",
            "sudo apt install -y jq",
            "apk add bash",
            "dpkg -i a.deb",
        ],
    );
    check(Git, &["git status", "git -C repo log", "gh pr view 1", "/usr/bin/git diff"]);
    check(Search, &["grep -rn x .", "rg --files", "find . -name '*.rs'", "ls -la", "fd x"]);
    check(
        Interpreter,
        &[
            "python3 script.py",
            "python -c 'print(1)'",
            "node -e '1'",
            "node index.js",
            "perl -ne 1",
            "npm start",
            "cargo run",
        ],
    );
    check(
        Other,
        &["curl http://x", "cat a", "sed -i s/a/b/ f", "mkdir -p a", "kill 1", "docker ps", "npm --version"],
    );
}

#[test]
fn of_several_commands_what_says_most_counts() {
    check_lines(
        Test,
        &[
            "cd /w && pytest 2>&1 | tail -5",
            "pip install -e . && pytest",
            "git stash; cargo test; git stash pop",
            "for i in 1 2; do pytest; done",
            "if true; then npm test; fi",
            "(cd a && go test ./...)",
            "echo $(pytest)",
            "bash -c 'sh -c \"pytest -x\"'",
            "cat <<EOF >x\nhello\nEOF\npytest",
        ],
    );
    check_lines(Build, &["make 2>&1 | grep error", "git pull && make", "cd x\nmake"]);
    check_lines(Git, &["git log | grep fix", "echo a; git add ."]);
    assert_eq!(category(&["bwrap", "--bind", "/", "/", "--", "bash", "-c", "pytest"]), Test);
    assert_eq!(category(&["sh", "-c", "echo pytest"]), Other, "an argument is not run");
    assert_eq!(category(&["sh", "-c", "echo 'a; pytest'"]), Other, "nor is what is quoted");
    assert_eq!(category(&["bash", "script.sh"]), Interpreter);
    assert_eq!(category::<&str>(&[]), Other);
    assert_eq!(kind(&["/usr/bin/python3.12", "-m", "pytest"]).program, "pytest");
    assert_eq!(kind(&["sh", "-c", "sleep 1; exit 0"]).program, "sleep");
    assert_eq!(kind(&["sh", "-c", "cd /a; exec /opt/bin/rg x"]).program, "rg");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_argv_has_a_category(argv in proptest::collection::vec("\\PC{0,30}", 0..6)) {
        let kind = kind(&argv);
        prop_assert!(kind.program.len() <= PROGRAM_MAX);
    }

    #[test]
    fn any_script_has_a_category(script in "[a-z'\"\\\\;|&(){}<>$`# \n=/.!-]{0,300}") {
        kind(&["sh", "-c", &script]);
        kind(&["env", "-S", &script, "sh", "-c", &script]);
    }
}

#[test]
fn hostile_scripts_take_no_time() {
    let began = std::time::Instant::now();
    for script in [
        "(".repeat(100_000),
        "eval ".repeat(20_000),
        "sh -c ".repeat(20_000),
        "a;".repeat(100_000),
        "$(".repeat(50_000),
        "sh -c 'sh -c \"sh -c sh\"';".repeat(1000),
    ] {
        kind(&["sh", "-c", &script]);
    }
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
