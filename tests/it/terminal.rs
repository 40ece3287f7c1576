//! What people see in their terminal: recorded, with times, ids and addresses blanked.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};

use anstream::adapter::strip_str;
use insta::assert_snapshot;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};

use crate::command::text;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

/// What differs from run to run, and what is not seen.
const BLANKED: [(&str, &str); 5] = [
    ("\u{1b}", "␛"),
    (r"[0-9A-HJKMNP-TV-Z]{26}", "[id]"),
    (r"127\.0\.0\.1:[0-9]+", "[address]"),
    (r"[^ @]*/\.tmp[A-Za-z0-9]{6}", "[folder]"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "[time]"),
];

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command
        .args(arguments)
        .env_remove("SERIN_CONFIG")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("GITHUB_STEP_SUMMARY")
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .stdin(Stdio::null());
    command
}

fn piped(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = command(arguments, environment).output().unwrap();
    text(&output.stdout)
}

/// A terminal of so many columns: where it is read, and where it is written to.
fn terminal(columns: u16) -> (File, File) {
    let host = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&host).unwrap();
    unlockpt(&host).unwrap();
    let name = ptsname(&host, Vec::new()).unwrap();
    let mut options = File::options();
    let terminal = options.read(true).write(true);
    let terminal = terminal.open(OsStr::from_bytes(name.to_bytes())).unwrap();
    let size = Winsize {
        ws_row: 50,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, size).unwrap();
    (File::from(host), terminal)
}

/// What is written to a terminal of so many columns.
fn on_terminal(columns: u16, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let (mut host, terminal) = terminal(columns);
    let mut command = command(arguments, environment);
    let mut child = command
        .stdout(terminal)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The terminal ends with the last who can write to it.
    drop(command);
    let mut written = Vec::new();
    let _ = host.read_to_end(&mut written);
    child.wait().unwrap();
    text(&written).replace("\r\n", "\n")
}

/// What a service logs until it listens, on a terminal or into a pipe.
fn log_of_service(is_terminal: bool, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [arguments, &["serve", "--port", "0"]].concat();
    let mut command = command(&arguments, environment);
    command
        .env("SERIN__STORAGE__DIRECTORY", folder.path())
        .stdout(Stdio::null());
    let (mut log, mut child): (Box<dyn Read>, Child) = if is_terminal {
        let (host, terminal) = terminal(200);
        let child = command.stderr(terminal).spawn().unwrap();
        (Box::new(host), child)
    } else {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        (Box::new(child.stderr.take().unwrap()), child)
    };
    drop(command);
    let (mut written, mut buffer) = (String::new(), [0; 4096]);
    while !written.contains("serin listens") {
        let count = log.read(&mut buffer).unwrap();
        assert!(0 < count, "{written}");
        written += &String::from_utf8_lossy(&buffer[..count]);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    written
}

fn is_coloured(text: &str) -> bool {
    text.contains('\u{1b}')
}

fn longest(text: &str) -> usize {
    let lines = strip_str(text).to_string();
    let lines = lines.lines().filter(|line| line.contains(' '));
    lines
        .map(|line| line.chars().count())
        .max()
        .unwrap_or_default()
}

fn recorded(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    for (what, blank) in BLANKED {
        settings.add_filter(what, blank);
    }
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| assert_snapshot!(name, text));
}

/// The metrics of the demo, the same at whatever time; nothing comes of the silent release.
fn of_demo(asked: &Asked) -> Reply {
    let query = &asked.params["query"];
    let start: jiff::Timestamp = asked.params["start"].parse().unwrap();
    if query.contains("v2-silent") {
        return Reply::matrix(&json!([]));
    }
    let has_risen = query.contains("v2-errors") && !query.contains("cpu");
    let base = if has_risen { 0.8 } else { 0.4 };
    let points = (0..=60).map(|at: i32| {
        let value = base + f64::from(at * 7 % 11) / 100.0;
        json!([start.as_second() + 60 * i64::from(at), value.to_string()])
    });
    Reply::matrix(&json!([{"metric": {}, "values": points.collect::<Vec<Value>>()}]))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_fits_its_terminal() {
    let prometheus = ScriptedPrometheus::start(of_demo).await;
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "demo",
        "--prometheus",
        &prometheus.url,
        "--directory",
        folder.path().to_str().unwrap(),
    ];
    let narrow = on_terminal(80, &arguments, &[]);
    // Addresses and commands are to be copied whole.
    let told = narrow.split("The last report").next().unwrap();
    assert!(longest(told) <= 80, "{narrow}");
    recorded("demo-80", &narrow);
    recorded("demo-200", &on_terminal(200, &arguments, &[]));
    let piped = piped(&arguments, &[]);
    assert!(!is_coloured(&piped), "{piped}");
    recorded("demo-piped", &piped);
}

fn of_run(prometheus: &str) -> [&str; 9] {
    [
        "run",
        "--prometheus",
        prometheus,
        "--start=2024-06-01T01:00:00Z",
        "--end=2024-06-01T02:00:00Z",
        "--control=v1",
        "--experiment=v2",
        "--metric",
        r#"buckets=sum(x{version="${scope}"}) by (le, job)"#,
    ]
}

/// Two series a side, of which one has risen.
fn rising(asked: &Asked) -> Reply {
    let risen = if asked.params["query"].contains("v2") {
        900
    } else {
        10
    };
    let values = |base: u32| {
        let points =
            (0..=60).map(|at| json!([1_717_203_600 + 60 * at, (base + at % 7).to_string()]));
        points.collect::<Vec<Value>>()
    };
    Reply::matrix(&json!([
        {"metric": {"le": "5", "job": "a"}, "values": values(10)},
        {"metric": {"le": "9", "job": "a"}, "values": values(risen)},
    ]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_fits_its_terminal_and_tells_its_series_apart() {
    let prometheus = ScriptedPrometheus::start(rising).await;
    let arguments = of_run(&prometheus.url);
    let narrow = on_terminal(80, &arguments, &[]);
    assert!(longest(&narrow) <= 80, "{narrow}");
    assert!(is_coloured(&narrow), "{narrow}");
    recorded("run-80", &narrow);
    recorded("run-200", &on_terminal(200, &arguments, &[]));
    let plain = piped(&arguments, &[]);
    recorded("run-piped", &plain);
    for part in ["buckets {le=5}", "buckets {le=9} rose"] {
        assert!(plain.contains(part), "{plain}");
    }

    let never = [&["--color", "never"], &arguments[..]].concat();
    let always = [&["--color", "always"], &arguments[..]].concat();
    let (off, force) = (("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"));
    for (shown, expected) in [
        (on_terminal(80, &arguments, &[off]), false),
        (on_terminal(80, &never, &[]), false),
        (on_terminal(80, &always, &[off]), true),
        (piped(&arguments, &[]), false),
        (piped(&arguments, &[force]), true),
        (piped(&always, &[]), true),
        (piped(&never, &[force]), false),
    ] {
        assert_eq!(is_coloured(&shown), expected, "{shown}");
        assert!(shown.contains("Fail"), "{shown}");
    }
}

#[test]
fn the_log_of_a_service_has_colours_where_they_are_wanted() {
    let never = &["--color", "never"][..];
    let (off, force) = (&[("NO_COLOR", "1")][..], &[("CLICOLOR_FORCE", "1")][..]);
    for (is_terminal, arguments, environment, expected) in [
        (true, &[][..], &[][..], true),
        (true, &[], off, false),
        (true, never, &[], false),
        (false, &[], &[], false),
        (false, &[], force, true),
        (false, never, force, false),
    ] {
        let log = log_of_service(is_terminal, arguments, environment);
        assert_eq!(is_coloured(&log), expected, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_on_standard_output_stands_there_alone() {
    let prometheus = ScriptedPrometheus::start(rising).await;
    let arguments = of_run(&prometheus.url);
    for (report, begins) in [
        ("json=-", "{"),
        ("markdown=-", "### ❌ Fail"),
        ("junit=-", "<?xml"),
        ("html=-", "<!doctype html>"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(&[&arguments[..], &["--report", report]].concat(), &[]);
        let output = command.current_dir(folder.path()).output().unwrap();
        let (written, told) = (text(&output.stdout), text(&output.stderr));
        assert!(written.starts_with(begins), "{report}: {written}");
        assert!(told.contains("✗ Fail") && told.contains("┌"), "{told}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_is_asked_within_patience_and_told_once() {
    let begun = std::time::Instant::now();
    let arguments = [
        "run",
        "--prometheus=http://127.0.0.1:1",
        "--patience=2s",
        "--control=v1",
        "--experiment=v2",
        "--metric",
        r#"e=sum(x{version="${scope}"})"#,
    ];
    let output = command(&arguments, &[]).output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{told}");
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    assert!(
        !told.contains("WARN") && !told.contains("sent again"),
        "{told}"
    );
    assert!(text(&output.stdout).contains("tcp connect error"), "{told}");
}
