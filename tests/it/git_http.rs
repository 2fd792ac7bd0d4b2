//! The git server that tests and the sandbox stand on, used by the `git` command line.

use crate::support::git_http::{GitServer, READER, TOKEN};
use butler::sandbox::git_http::{Fault, RefUpdate, Service};

#[test]
fn a_person_clones_and_pushes_and_the_push_is_told() {
    let server = GitServer::start();
    server.create("acme/config");
    let ann = server.person("acme/config", "Ann");
    let first = ann.write("a.yaml", "a: 1\n").commit("first");
    ann.push();
    let main = |old: Option<&String>, new: Option<&String>| {
        let update = RefUpdate { name: "refs/heads/main".into(), old: old.cloned(), new: new.cloned() };
        vec![("acme/config".to_owned(), vec![update])]
    };
    assert_eq!(server.take_pushes(), main(None, Some(&first)));

    let bob = server.person("acme/config", "Bob");
    assert_eq!(bob.read("a.yaml"), "a: 1\n");
    // Larger than git's http.postBuffer, so that it arrives chunked, and does not compress away.
    let big: String = (0u64..200_000).map(|n| format!("{:x}\n", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    let second = bob.write("big.txt", &big).commit("second");
    bob.push();
    assert_eq!(server.take_pushes(), main(Some(&first), Some(&second)));
    assert_eq!(ann.log("main"), ["second", "first"]);
    assert_eq!(ann.pull().read("big.txt"), big);
}

#[test]
fn a_refused_push_is_not_told() {
    let server = GitServer::start();
    server.create("acme/config");
    server.hook("acme/config", "pre-receive", "echo not on a Friday; exit 1");
    let ann = server.person("acme/config", "Ann");
    ann.commit("first");
    let words = ann.try_git(&["push", "origin", "HEAD"]).unwrap_err();
    assert!(words.contains("not on a Friday") && words.contains("pre-receive hook declined"), "{words}");
    assert_eq!(server.take_pushes(), []);
}

#[test]
fn credentials_decide() {
    let server = GitServer::start();
    server.create("acme/config");
    let ann = server.person("acme/config", "Ann");
    ann.commit("first");
    let push = |token: &str, repo: &str| {
        let url = server.url(repo).replace("http://", &format!("http://x-access-token:{token}@"));
        ann.try_git(&["push", &url, "HEAD"]).err().unwrap_or_default()
    };
    for (token, repo, expected) in [
        ("nonsense", "acme/config", "Authentication failed"),
        (READER, "acme/config", "error: 403"),
        (TOKEN, "acme/absent", "not found"),
        (TOKEN, "acme/config", ""),
    ] {
        let words = push(token, repo);
        assert!(words.contains(expected), "{token} {repo}: {words}");
    }
}

#[test]
fn faults_to_order() {
    let server = GitServer::start();
    server.create("acme/config");
    let ann = server.person("acme/config", "Ann");
    ann.commit("first");

    server.fault(|_| Fault::Status { code: 503, retry_after: None });
    let words = ann.try_git(&["push", "origin", "HEAD"]).unwrap_err();
    assert!(words.contains("503"), "{words}");

    server.fault(|_| Fault::Close);
    let words = ann.try_git(&["push", "origin", "HEAD"]).unwrap_err();
    assert!(words.contains("Empty reply from server"), "{words}");
    assert_eq!(server.take_pushes(), []);

    server.fault(|request| match request.service == Service::ReceivePack && !request.advertise {
        true => Fault::LoseResponse,
        false => Fault::None,
    });
    let words = ann.try_git(&["push", "origin", "HEAD"]).unwrap_err();
    assert!(words.contains("Empty reply from server"), "{words}");
    assert_eq!(server.take_pushes().len(), 1);
    assert_eq!(ann.log("main"), ["first"]);
}
