//! What refuses or breaks is told apart, and says nothing secret.

use super::*;

#[test]
fn refusals_are_told_apart_and_hold_no_token() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let wrong = town.mirror_with(REPO, "wrong-token").fetch(BRANCHES).unwrap_err();
    let absent = town.mirror_with("acme/absent", TOKEN).fetch(BRANCHES).unwrap_err();
    let reader = town.mirror_with(REPO, READER);
    reader.fetch(BRANCHES).unwrap();
    let forbidden = reader.push(&[update("refs/heads/x", None, Some(&first))]).unwrap_err();
    let after = Some(Duration::from_secs(17));
    town.server.fault(|_| Fault::Status { code: 429, retry_after: Some(17) });
    let limited = town.mirror.fetch(BRANCHES).unwrap_err();
    let limited_push = town.push(MAIN, Some(&first), None);
    assert!(matches!(&limited_push, PushOutcome::Retry { after: Some(wait), .. } if Some(*wait) == after));
    town.server.fault(|_| Fault::Status { code: 403, retry_after: Some(17) });
    let secondary = town.mirror.fetch(BRANCHES).unwrap_err();
    town.server.fault(|_| Fault::Status { code: 503, retry_after: None });
    let down = town.mirror.fetch(BRANCHES).unwrap_err();
    town.server.fault(|_| Fault::Close);
    let closed = town.mirror.fetch(BRANCHES).unwrap_err();

    let retry = |after| Remedy::Retry { after };
    for (error, kind, remedy) in [
        (wrong, "the credentials were refused (401)", retry(None)),
        (absent, "no such repository, or the App is not installed on it (404)", Remedy::Fix),
        (forbidden, "not allowed (403): write access not granted", Remedy::Fix),
        (limited, "found status 429", retry(after)),
        (secondary, "found status 403", retry(after)),
        (down, "found status 503", retry(None)),
        (closed, "no answer", retry(None)),
    ] {
        let text = format!("{error} {error:?}");
        assert!(text.contains(kind), "{text}");
        assert_eq!(error.remedy(), remedy, "{text}");
        assert!(![TOKEN, READER, "wrong-token"].iter().any(|secret| text.contains(secret)), "{text}");
    }
}

#[test]
fn a_failure_that_passes_is_not_seen() {
    let (town, first) = town(&[("a.yaml", "a: 1\n")]);
    let mut faults = vec![Fault::Close, Fault::Status { code: 502, retry_after: None }];
    town.server.fault(move |_| faults.pop().unwrap_or_default());
    assert_eq!(town.mirror.fetch(BRANCHES).unwrap()[MAIN], first);
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let (town, _) = town(&[("a.yaml", "a: 1\n")]);
    let hasty = town.mirror_with(REPO, TOKEN).with_timeout(Duration::from_millis(50));
    town.server.fault(|_| Fault::Delay(Duration::from_secs(600)));
    assert!(matches!(hasty.fetch(BRANCHES), Err(GitError::Unreachable { .. })));
}

/// An HTTP server that is no git server, and a repository's address on it.
fn serve(app: axum::Router) -> (tokio::runtime::Runtime, String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/old/name.git", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, app).await });
    (runtime, url)
}

#[test]
fn a_redirect_to_another_host_gets_no_token() {
    let (town, _) = town(&[("a.yaml", "a: 1\n")]);
    let seen = Arc::new(std::sync::Mutex::new(0));
    let count = seen.clone();
    town.server.fault(move |_| {
        *count.lock().unwrap() += 1;
        Fault::None
    });
    let target = town.server.url(REPO);
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let to = request.uri().to_string().replace("/old/name.git", &target);
        async move { axum::response::Redirect::permanent(&to) }
    });
    let (_runtime, url) = serve(app);
    let mirror = Mirror::open_or_create(&town.folder.path().join("far"), &url, token(TOKEN)).unwrap();
    let error = mirror.fetch(BRANCHES).unwrap_err();
    assert!(matches!(&error, GitError::Redirected { to, .. } if to.contains(&town.server.url(REPO))), "{error}");
    assert_eq!(error.remedy(), Remedy::Fix);
    assert_eq!(*seen.lock().unwrap(), 0);
}

#[test]
fn a_page_that_is_not_gits_is_said_to_be_one() {
    let (_runtime, url) = serve(axum::Router::new().fallback(|| async { axum::response::Html("<h1>Log in</h1>") }));
    let folder = TempDir::new().unwrap();
    let mirror = Mirror::open_or_create(folder.path(), &url, token("")).unwrap();
    let error = mirror.fetch(BRANCHES).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{url}: expected application/x-git-upload-pack-advertisement, found \"text/html; charset=utf-8\"; \
             check that this is a git repository's address"
        )
    );
}

#[test]
fn without_a_token_nothing_is_asked() {
    let (town, _) = town(&[("a.yaml", "a: 1\n")]);
    town.server.fault(|request| panic!("{request:?}"));
    let dir = town.folder.path().join("other");
    let none: TokenSource = Arc::new(|| Err("the App's key was refused".into()));
    let mirror = Mirror::open_or_create(&dir, &town.server.url(REPO), none).unwrap();
    let error = mirror.fetch(BRANCHES).unwrap_err();
    assert_eq!(error.to_string(), format!("no token for {}: the App's key was refused", town.server.url(REPO)));
    assert_eq!(error.remedy(), Remedy::Retry { after: None });
}
