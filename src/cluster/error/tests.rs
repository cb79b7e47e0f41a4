use super::*;
use crate::exit::ExitCode;
use crate::explain::Explain as _;
use crate::explain::Explanation;

fn refused(status: u16, body: &str) -> ClusterError {
    ClusterError::Request(Box::new(RequestError {
        verb: Verb::Get,
        kind: Kind::TaskRun,
        object: "ci/build".parse().unwrap(),
        who: Who { origin: "token of /t".into(), claims: None },
        exchange: Exchange {
            method: Method::GET,
            url: "https://10.0.0.1/apis/tekton.dev/v1/namespaces/ci/taskruns/build".into(),
            failure: Failure::Refused(Refusal::new(status, body.as_bytes(), None, &Mask::default())),
            attempts: 1,
        },
        unread: None,
    }))
}

#[test]
fn a_refusal_names_the_rule_that_is_missing() {
    let body =
        r#"{"kind":"Status","status":"Failure","reason":"Forbidden","code":403,"message":"no \u001b[2J"}"#;
    let shown = Explanation::of(&refused(403, body));
    assert_eq!(
        shown.to_string(),
        "error: cannot read TaskRun ci/build\n  cause: GET https://10.0.0.1/apis/tekton.dev/v1/namespaces/ci/taskruns/build: \
         403 Forbidden: no \\u{1b}[2J\n  used:  token of /t\n  do:    in namespace ci, give it a Role with the rule \
         {apiGroups: [\"tekton.dev\"], resources: [\"taskruns\"], resourceNames: [\"build\"], verbs: [\"get\"]} (the smallest \
         Roles are in tasks/sign-images/0.1/rbac)"
    );
    assert_eq!(shown.exit, ExitCode::Refused);
}

#[test]
fn a_refused_login_mentions_the_kubeconfig_that_was_not_read() {
    for status in [401, 403, 404, 418, 500] {
        let ClusterError::Request(mut request) = refused(status, "{}") else { unreachable!() };
        request.unread = Some("/home/.kube/config was not read".into());
        let hint = ClusterError::Request(request).hint().unwrap_or_default();
        assert_eq!(hint.contains("/home/.kube/config"), [401, 403].contains(&status), "{status}: {hint}");
    }
}

/// What a real API server answers for an object that is not there, and for an API group or version that it doesn't serve.
#[test]
fn a_404_says_whether_the_object_or_its_api_is_missing() {
    let not_found = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"taskruns.tekton.dev \"build\" not found",
        "reason":"NotFound","details":{"name":"build","group":"tekton.dev","kind":"taskruns"},"code":404}"#;
    for (status, body, is_missing, hint) in [
        (404, not_found, true, Some("see whether TaskRun build is there, in namespace ci")),
        (404, "404 page not found\n", false, Some("the API server does not serve tekton.dev/v1;")),
        (404, "<html>default backend - 404</html>", false, Some("does not serve tekton.dev/v1;")),
        (404, "", false, Some("does not serve tekton.dev/v1;")),
        (410, not_found, false, None),
    ] {
        let error = refused(status, body);
        assert_eq!(error.is_not_found(), is_missing, "{status} {body}");
        let said = error.hint().unwrap_or_default();
        assert!(hint.map_or(said.is_empty(), |hint| said.contains(hint)), "{status} {body}: {said}");
    }
}

#[test]
fn what_is_no_status_is_shown_cut() {
    let error = refused(502, &"x".repeat(5000));
    let text = Explanation::of(&error).causes.concat();
    assert!(text.contains("502: xxx") && text.len() < 800, "{text}");
    assert_eq!(error.exit(), ExitCode::Failed);
}

#[test]
fn a_404_is_of_the_object_of_its_namespace_or_of_the_api() {
    for (reason, message, object, namespace) in [
        ("NotFound", "taskruns.tekton.dev \"build\" not found", true, false),
        ("NotFound", "namespaces \"ci\" not found", true, true),
        ("NotFound", "the server could not find the requested resource", false, false),
        ("", "404 page not found", false, false),
    ] {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        let refusal = Refusal { status: 404, reason, message, causes: Vec::new(), retry_after: None };
        let found = (refusal.is_of_the_object(), refusal.is_of_the_namespace());
        assert_eq!(found, (object, namespace), "{refusal}");
    }
}
