//! `butler sandbox` as people run it: the built program, and a second one that visits it.

use regex::Regex;
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// The program, where nothing else finds its sandboxes.
fn butler(home: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_butler"));
    command.arg("sandbox").args(args).env("XDG_RUNTIME_DIR", home.path()).env("TMPDIR", home.path());
    command
}

fn run(home: &TempDir, args: &[&str]) -> Output {
    butler(home, args).output().unwrap()
}

/// What a visit printed; it must succeed.
fn visit(home: &TempDir, args: &[&str]) -> String {
    let output = run(home, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    shown(&String::from_utf8(output.stdout).unwrap())
}

/// Output as a snapshot can hold it: no times, ports, ids, folders.
fn shown(text: &str) -> String {
    let hidden = [
        (r"(?m)^ *\d+\.\d\d s ", "  TIME  "),
        (r"\d+\.\d\d s", "TIME"),
        (r"http://127\.0\.0\.1:\d+", "http://HOST"),
        (r"127\.0\.0\.1:\d+", "HOST"),
        (r"sha256:(?:[0-9a-f]{64}|[0-9a-f]{12})", "DIGEST"),
        (r"\b[0-9a-f]{40}\b|\b[0-9a-f]{16}\b|\b[0-9a-f]{7}\b", "ID"),
        (r"/\S*/butler-sandbox-\w+", "FOLDER"),
        (r"takes \d+\.\d times", "takes N times"),
        (r"\d+ MiB", "N MiB"),
    ];
    hidden.iter().fold(text.to_owned(), |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}

#[test]
fn once_walks_the_main_job_and_exits() {
    let home = TempDir::new().unwrap();
    let output = run(&home, &["--once"]);
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    // The name of a folder does not break, and this one lies deep.
    let breaks = |line: &&str| !line.contains("/butler-sandbox-");
    let wide = text.lines().filter(breaks).filter(|line| line.chars().count() > 80);
    assert_eq!(wide.collect::<Vec<_>>(), Vec::<&str>::new(), "80 columns");
    insta::assert_snapshot!(shown(&text), @"
    TIME    started the sandbox
             GitHub   http://HOST
             registry http://HOST
             butler   http://HOST
             folder   FOLDER
             log      FOLDER/server.log
                      (the folder goes in the end; --dir DIR keeps one)
    TIME    butler read acme/config
             check butler/config: success: 3 environments, 2 promotions
    TIME    pushed acme/app:1.1.0 to the registry
             DIGEST
    TIME    the registry notified butler, which wrote it down
    TIME    butler committed ID to main for development
             update(development): flux-system:app HOST/acme/app 1.0.0
               -> 1.1.0
             Butler-Policy: flux-system:app
             Butler-Image: HOST/acme/app:1.1.0
             Butler-Object: Deployment/development/app
             Butler-Plan: ID
    TIME    the sync wrote development
             clusters/development is deploy/development at ID, byte for byte
               (1 file)
    TIME    butler opened pull request #1
             promote(staging): app 1.0.0 -> 1.1.0
             http://HOST/acme/config/pull/1
    TIME    ann (ProdOps) commented `/merge` on #1
    TIME    butler merged #1 as ID
             promote(staging): app 1.0.0 -> 1.1.0
             Merges #1.
             Butler-Plan: ID
             Butler-Requested-By: ann
    TIME    butler answered
             Merged as ID.
    TIME    the sync wrote staging
             clusters/staging is deploy/staging at ID, byte for byte (1 file)
    TIME    butler opened pull request #2
             promote(production): app 1.0.0 -> 1.1.0
             http://HOST/acme/config/pull/2
    TIME    ann (ProdOps) commented `/merge` on #2
    TIME    butler merged #2 as ID
             promote(production): app 1.0.0 -> 1.1.0
             Merges #2.
             Butler-Plan: ID
             Butler-Requested-By: ann
    TIME    butler answered
             Merged as ID.
    TIME    the sync wrote production
             clusters/production is deploy/production at ID, byte for byte (1
               file)

    event -> commit pushed  TIME and TIME of debounce
    bare git push of it     TIME: butler takes N times as long
    resident memory         N MiB, the sandbox's GitHub and registry included
    the whole walk          TIME
    ");
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// The sandbox in its terminal; it ends with this.
struct Terminal {
    child: Child,
    /// What it said until it was open.
    said: String,
}

impl Terminal {
    /// Opens a sandbox and reads on until it is ready for visitors.
    fn open(home: &TempDir, args: &[&str]) -> Terminal {
        Terminal::until(home, args, "Press Ctrl-C")
    }

    /// Opens a sandbox and reads on until it says this.
    fn until(home: &TempDir, args: &[&str], says: &str) -> Terminal {
        let mut child = butler(home, args).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut said = String::new();
        let ready = lines.by_ref().any(|line| {
            said.push_str(&line);
            said.push('\n');
            line.contains(says)
        });
        // What it says at the end must not meet a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let terminal = Terminal { child, said };
        assert!(ready, "it ended: {}", terminal.said);
        terminal
    }

    /// Ctrl-C, and the exit code.
    fn interrupt(mut self) -> Option<i32> {
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ctrl-C amid the walk is no failure to look into: nothing stays.
#[test]
fn a_walk_that_is_stopped_leaves_nothing() {
    for args in [&["--once"][..], &[]] {
        let home = TempDir::new().unwrap();
        let terminal = Terminal::until(&home, args, "to the registry");
        assert_eq!(terminal.interrupt(), Some(130), "{args:?}");
        let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

#[test]
fn a_second_terminal_plays_with_an_open_sandbox() {
    let home = TempDir::new().unwrap();
    let terminal = Terminal::open(&home, &["--no-walk"]);
    let none = run(&home, &["show", "1"]);
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    insta::assert_snapshot!(said, @"error: expected the number of a pull request, found 1: there is no pull request yet; push an image first");

    insta::assert_snapshot!(visit(&home, &["push", "app:1.2.4", "--wait"]), @"
    pushed acme/app:1.2.4
      DIGEST
    butler committed ID to main
      update(development): flux-system:app HOST/acme/app 1.0.0 -> 1.2.4
      Butler-Policy: flux-system:app
      Butler-Image: HOST/acme/app:1.2.4
      Butler-Object: Deployment/development/app
      Butler-Plan: ID
    the sync wrote development: it runs 1.2.4
    butler opened pull request #1
      promote(staging): app 1.0.0 -> 1.2.4
      http://HOST/acme/config/pull/1
    ");
    // As before, and nothing comes of it.
    let again = visit(&home, &["comment", "1", "looks good", "--wait"]);
    insta::assert_snapshot!(again, @"
    ann commented on #1: looks good
    butler had nothing to do
    ");
    insta::assert_snapshot!(visit(&home, &["status"]), @"
    development   1.2.4         ID
    staging       1.0.0         ID
    production    1.0.0         ID

    #1   open     promote(staging): app 1.0.0 -> 1.2.4
    ");
    // Rita may only read.
    insta::assert_snapshot!(visit(&home, &["comment", "1", "/merge", "--as", "rita", "--wait"]), @"
    rita commented on #1: /merge
    butler commented on #1
      Not done: this takes `maintain` permission on the repository, and you have
        `read`; whoever has that role or a higher one may.
    ");
    assert!(visit(&home, &["status"]).contains("#1   open"));
    insta::assert_snapshot!(visit(&home, &["comment", "1", "/merge", "--wait"]), @"
    ann commented on #1: /merge
    butler merged #1 as ID
      promote(staging): app 1.0.0 -> 1.2.4
      Merges #1.
      Butler-Plan: ID
      Butler-Requested-By: ann
    butler commented on #1
      Merged as ID.
    the sync wrote staging: it runs 1.2.4
    butler opened pull request #2
      promote(production): app 1.0.0 -> 1.2.4
      http://HOST/acme/config/pull/2
    ");
    insta::assert_snapshot!(visit(&home, &["status"]), @"
    development   1.2.4         ID
    staging       1.2.4         ID
    production    1.0.0         ID

    #2   open     promote(production): app 1.0.0 -> 1.2.4
    #1   merged   promote(staging): app 1.0.0 -> 1.2.4
    ");
    insta::assert_snapshot!(visit(&home, &["show", "1"]), @"
    #1 promote(staging): app 1.0.0 -> 1.2.4
    merged: butler/promote/to-staging -> main
    http://HOST/acme/config/pull/1

    Carries what `development` runs to `staging`.

    | component | image | from | to |
    | --- | --- | --- | --- |
    | `app` | `HOST/acme/app` | `1.0.0` | `1.2.4` |

    From `development` at `ID`, planned on `ID`.

    <details><summary>Diff</summary>

    ```diff
    --- a/deploy/staging/app.yaml
    +++ b/deploy/staging/app.yaml
    @@ -9,4 +9,4 @@
         spec:
           containers:
             - name: app
    -          image: HOST/acme/app:1.0.0
    +          image: HOST/acme/app:1.2.4
    ```

    </details>

    `/merge` merges it when it may be merged, `/hold` stops it, `/status` says where things stand, `/help` lists the rest. Closing it declines these versions.

    ann
      looks good

    rita
      /merge

    butler[bot]
      Not done: this takes `maintain` permission on the repository, and you have `read`; whoever has that role or a higher one may.

    ann
      /merge

    butler[bot]
      Merged as ID.
    ");

    // What a person said wrong is theirs: 2, and what would be right.
    for (arguments, says) in [
        (
            &["comment", "1", "hello", "--as", "bob"][..],
            r#"expected one of the sandbox's people (ann, dan, rita), found "bob""#,
        ),
        (&["show", "99"], "expected the number of a pull request, found 99: there are #1, #2"),
        (&["comment", "99", "/merge", "--wait"], "expected the number of a pull request, found 99: there are #1, #2"),
        (&["push", "app"], r#"expected IMAGE:TAG such as app:1.2.4, found "app""#),
        (&["push", "App:1.0.0"], r#"expected IMAGE:TAG such as app:1.2.4, "App:1.0.0" is not an image reference"#),
        (&["status", "--at", "here"], r#"expected the sandbox's address, such as http://127.0.0.1:4000, found "here""#),
    ] {
        let refused = run(&home, arguments);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.starts_with(&format!("error: {says}")), "{arguments:?}: {said}");
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
    }
    // The commands that it shows at its start are about the first pull request that there will be.
    assert!(terminal.said.contains("butler sandbox show 1 "), "{}", terminal.said);
    let wide: Vec<_> =
        terminal.said.lines().filter(|line| line.chars().count() > 80 && !line.contains("clone")).collect();
    assert!(wide.iter().all(|line| line.contains("/butler-sandbox-")), "80 columns: {wide:?}");

    // By its address as well, wherever the file is.
    let elsewhere = TempDir::new().unwrap();
    let at = terminal.said.split("--at ").nth(1).unwrap().lines().next().unwrap().to_owned();
    assert!(visit(&elsewhere, &["status", "--at", &at]).contains("merged"));

    // A stage's folder is what the branch has, with git alone.
    let folder = terminal.said.lines().find_map(|line| line.trim().strip_prefix("folder   ")).unwrap();
    let clone = terminal.said.lines().find_map(|line| line.trim().strip_prefix("git clone ")).unwrap();
    let person = crate::support::person::Person::clone(clone, "Ann");
    let synced = PathBuf::from(folder).join("clusters/staging/app.yaml");
    assert_eq!(std::fs::read_to_string(&synced).unwrap(), person.read("deploy/staging/app.yaml"));

    // What a person deletes is deleted, what they add is there.
    person.write("deploy/staging/more/notes.txt", "hello\n").git(&["rm", "--quiet", "deploy/staging/app.yaml"]);
    person.commit("Another layout");
    person.push();
    visit(&home, &["status", "--wait"]);
    assert!(!synced.exists());
    assert_eq!(std::fs::read_to_string(synced.with_file_name("more/notes.txt")).unwrap(), "hello\n");

    assert_eq!(terminal.interrupt(), Some(0));
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn without_a_sandbox_visits_say_so() {
    let home = TempDir::new().unwrap();
    let said = |args: &[&str]| {
        let output = run(&home, args);
        format!("{:?} {}", output.status.code(), shown(&String::from_utf8_lossy(&output.stderr)))
    };
    insta::assert_snapshot!(said(&["status"]), @"Some(3) error: no sandbox runs: start one with `butler sandbox` in another terminal, or name its address with --at");
    // Killed before it could take its file away.
    std::fs::write(home.path().join("butler-sandbox.json"), r#"{"at": "http://127.0.0.1:1", "pid": 1}"#).unwrap();
    insta::assert_snapshot!(said(&["push", "app:1.2.4"]), @"Some(3) error: no sandbox runs: start one with `butler sandbox` in another terminal, or name its address with --at");
    insta::assert_snapshot!(said(&["status", "--at", "http://127.0.0.1:1"]), @"Some(3) error: no sandbox answers at http://HOST (error sending request for url (http://HOST/)); start one with `butler sandbox` in another terminal");
}

/// A walk that cannot go on says what was in the way, and leaves its files to be looked at.
#[test]
fn a_walk_that_fails_says_why_and_keeps_its_log() {
    use std::os::unix::fs::PermissionsExt as _;
    let (home, programs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let git = programs.path().join("git");
    let path = std::env::var("PATH").unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = clone ] && echo 'no clones today' >&2 && exit 1\nPATH='{path}' exec git \"$@\"\n"
    );
    std::fs::write(&git, script).unwrap();
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{path}", programs.path().display());
    let output = butler(&home, &["--once"]).env("PATH", path).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    insta::assert_snapshot!(shown(&said), @"error: `git clone` failed: no clones today; the server's log is FOLDER/server.log");
    let log = said.trim().rsplit(' ').next().unwrap();
    assert!(std::fs::read_to_string(log).unwrap().contains("butler"), "{log}");
}

#[test]
fn what_the_sandbox_needs_is_said_up_front() {
    let home = TempDir::new().unwrap();
    let said = |command: &mut Command| {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("{:?} {}", output.status.code(), shown(&text))
    };
    insta::assert_snapshot!(said(butler(&home, &["--once"]).env("PATH", home.path())), @"Some(3) error: expected `git` on PATH, found none (No such file or directory (os error 2)); install it (Debian: apt-get install git)");
    insta::assert_snapshot!(said(butler(&home, &["--once"]).env("GIT_EXEC_PATH", "/nowhere")), @"Some(3) error: expected git's HTTP server at /nowhere/git-http-backend, found none; it comes with git (Fedora: dnf install git-core, Alpine: apk add git-daemon)");
    let proxied = &mut butler(&home, &["--once"]);
    insta::assert_snapshot!(said(proxied.env("http_proxy", "http://proxy:3128").env_remove("no_proxy").env_remove("NO_PROXY")), @"Some(3) error: expected requests to 127.0.0.1 to go there directly, found a proxy in http_proxy; everything of the sandbox is on 127.0.0.1: set NO_PROXY=127.0.0.1");
    let full = TempDir::new().unwrap();
    std::fs::write(full.path().join("mine"), "").unwrap();
    let mut there = butler(&home, &["--once", "--dir"]);
    insta::assert_snapshot!(said(there.arg(full.path())).replace(full.path().to_str().unwrap(), "FULL"), @"Some(2) error: expected a new or empty folder, found FULL with something in it; name another with --dir");
}

/// The key, the secrets in the settings, and the database are nobody else's to read.
#[test]
fn its_secrets_are_the_users_own() {
    use std::os::unix::fs::PermissionsExt;

    let home = TempDir::new().unwrap();
    let folder = home.path().join("all of it");
    let output = run(&home, &["--once", "--dir", folder.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for (path, expected) in [
        ("", 0o700),
        ("app.pem", 0o600),
        ("settings.yaml", 0o600),
        ("server", 0o700),
        ("server/owner", 0o600),
        ("server/butler.db", 0o600),
    ] {
        let mode = std::fs::metadata(folder.join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, expected, "{path:?}");
    }
}
