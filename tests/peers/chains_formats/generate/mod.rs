//! Runs as they may come: every shape and hint, well and badly formed. The same seed gives the same runs.

mod hints;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use hints::{HEX, git_url, results, text, value};

/// A run and, for a PipelineRun, its TaskRuns in the order of its childReferences.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) object: Value,
    pub(super) task_runs: Vec<Value>,
}

/// A strategy for any run.
pub(super) fn given() -> impl Strategy<Value = Given> {
    prop_oneof![
        task_run("build", None).prop_map(|object| Given { object, task_runs: Vec::new() }),
        pipeline_run(),
    ]
}

/// An object of those members that have a value.
fn object(members: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect())
}

fn maybe(strategy: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
    option::of(strategy)
}

fn list(strategy: impl Strategy<Value = Value>, most: usize) -> impl Strategy<Value = Value> {
    vec(strategy, 0..=most).prop_map(Value::Array)
}

fn parameters(field: &'static str) -> impl Strategy<Value = Value> {
    let names = select(vec!["p", "q", "CHAINS-GIT_URL", "CHAINS-GIT_COMMIT", "A_IMAGE_URL"]);
    let git = git_url().prop_map(Value::from);
    list(
        (names, prop_oneof![value(), git]).prop_map(move |(name, value)| json!({"name": name, field: value})),
        3,
    )
}

fn time() -> impl Strategy<Value = Value> {
    select(vec![
        "2025-03-04T05:06:07Z",
        "2025-03-04T05:06:07.5Z",
        "2025-03-04T07:06:07+02:00",
        "1969-12-31T23:59:59Z",
    ])
    .prop_map(Value::from)
}

fn ref_source() -> impl Strategy<Value = Value> {
    let digest = select(vec![json!({"sha1": "0a1b"}), json!({"sha256": HEX[0]}), json!({}), Value::Null]);
    (maybe(git_url().prop_map(Value::from)), maybe(digest), maybe(text()))
        .prop_map(|(uri, digest, entry)| object([("uri", uri), ("digest", digest), ("entryPoint", entry)]))
}

fn provenance() -> impl Strategy<Value = Value> {
    let flags = select(vec![
        json!({}),
        json!({"enableAPIFields": "beta", "MaxResultSize": 4096, "EnableProvenanceInStatus": true, "Coschedule": "workspaces"}),
        json!({"disableCredsInit": true, "unknown": [1]}),
    ]);
    (maybe(ref_source()), maybe(flags))
        .prop_map(|(source, flags)| object([("refSource", source), ("featureFlags", flags)]))
}

fn reference() -> impl Strategy<Value = Value> {
    (
        maybe(text()),
        maybe(select(vec![json!("git"), json!("Cluster"), json!("hub"), json!("")])),
        maybe(parameters("value")),
    )
        .prop_map(|(name, resolver, params)| {
            object([
                ("name", name),
                ("kind", Some("Task".into())),
                ("resolver", resolver),
                ("params", params),
            ])
        })
}

/// Something with a canonical form of its own, or none.
fn extras() -> impl Strategy<Value = Value> {
    select(vec![
        json!({}),
        json!({"timeout": "90s", "retries": 1, "unknownField": {"a": 1}}),
        json!({"computeResources": {"limits": {"cpu": "1000m", "memory": "1048576Ki"}, "requests": {"cpu": 0.5}}}),
        json!({"podTemplate": {"nodeSelector": {}, "securityContext": {"fsGroup": 65532}, "hostNetwork": false}}),
        json!({"workspaces": [{"name": "w", "emptyDir": {}}, {"name": "c", "volumeClaimTemplate": {"spec": {"resources": {}}}}]}),
        json!({"serviceAccountName": "robot", "debug": {"breakpoints": {"onFailure": "enabled"}}}),
    ])
}

fn with(mut into: Value, more: Value) -> Value {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
    into
}

fn step() -> impl Strategy<Value = (String, Value)> {
    let command = select(vec![json!(["sh", "-c"]), json!([]), json!(["a<b"])]);
    let args = select(vec![json!(["x", "$(tasks.t0.results.note)"]), json!([])]);
    let names = select(vec!["compile", "push", "test", ""]);
    (names, maybe(text()), maybe(command), maybe(args), maybe(reference())).prop_map(
        |(name, script, command, args, reference)| {
            let name = name.to_owned();
            let spec = object([
                ("name", Some(name.clone().into())),
                ("image", Some("reg.example.com/tools/builder".into())),
                ("script", script),
                ("command", command),
                ("args", args),
                ("ref", reference),
            ]);
            (name, spec)
        },
    )
}

fn image_id() -> impl Strategy<Value = Value> {
    let prefix =
        select(vec!["reg.example.com/tools/builder@sha256:", "docker-pullable://reg.example.com/b@sha256:"]);
    let good = (prefix, select(&HEX[..])).prop_map(|(prefix, hex)| Value::from(format!("{prefix}{hex}")));
    prop_oneof![60 => good, 1 => select(vec![json!(""), json!("no-digest"), json!("a@b@c"), json!("a@sha256")])]
}

fn container(kind: &'static str, name: String) -> impl Strategy<Value = Value> {
    // A source of its own, so that it duplicates nothing that a Chains without StepActions names.
    let source = json!({"refSource": {"uri": format!("git+https://actions.example/{name}.git"), "digest": {"sha1": "0a"}}});
    let remote = prop_oneof![6 => Just(None), 1 => select(vec![Some(source), Some(json!({}))])];
    (image_id(), maybe(results()), remote).prop_map(move |(id, results, provenance)| {
        let state = json!({"exitCode": 0, "reason": "Completed", "startedAt": "2025-03-04T05:06:10.25Z", "finishedAt": null});
        object([
            ("name", Some(name.clone().into())),
            ("container", Some(format!("{kind}-{name}").into())),
            ("imageID", Some(id)),
            ("terminated", Some(state)),
            ("results", results.filter(|_| kind == "step")),
            ("provenance", provenance.filter(|_| kind == "step")),
        ])
    })
}

/// The specification that ran, and the states of its steps and sidecars.
fn ran() -> impl Strategy<Value = (Option<Value>, Value, Option<Value>)> {
    let steps = vec(step(), 0..4).prop_map(|mut steps| {
        let mut names: Vec<String> = Vec::new();
        steps.retain(|(name, _)| {
            name.is_empty()
                || !names.contains(name) && {
                    names.push(name.clone());
                    true
                }
        });
        steps
    });
    let states = steps.prop_flat_map(|steps| {
        let states: Vec<_> = steps
            .iter()
            .enumerate()
            .map(|(at, (name, _))| {
                container("step", if name.is_empty() { format!("unnamed-{at}") } else { name.clone() })
            })
            .collect();
        let specs: Vec<Value> = steps.into_iter().map(|(_, spec)| spec).collect();
        (Just(specs), states)
    });
    let sidecars = maybe(vec(container("sidecar", "db".into()), 0..2).prop_map(Value::Array));
    (states, sidecars, maybe(parameters("default")), 0..10_u8).prop_map(
        |((specs, states), sidecars, params, lost)| {
            let spec = object([("params", params), ("steps", Some(Value::Array(specs)))]);
            ((lost != 0).then_some(spec), Value::Array(states), sidecars)
        },
    )
}

fn conditions() -> impl Strategy<Value = Value> {
    let statuses = select(vec!["True", "True", "False", "Unknown"]);
    statuses.prop_map(|status| json!([{"type": "Succeeded", "status": status, "reason": "r", "lastTransitionTime": "2025-03-04T05:06:37Z"}]))
}

fn metadata(name: String, uid: &'static str) -> impl Strategy<Value = Value> {
    let annotations = select(vec![
        json!({"chains.tekton.dev/signed": "true", "note": "a<b>"}),
        json!({"kubectl.kubernetes.io/last-applied-configuration": "{}", "tekton.dev/x": "y"}),
        json!({}),
    ]);
    let labels = select(vec![
        json!({"chains.tekton.dev/reproducible": "true"}),
        json!({"team": "é", "app": ""}),
        json!({}),
    ]);
    (maybe(labels), maybe(annotations)).prop_map(move |(labels, annotations)| {
        object([
            ("name", Some(name.clone().into())),
            ("namespace", Some("ci".into())),
            ("uid", Some(uid.into())),
            ("creationTimestamp", Some("2025-03-04T05:06:00Z".into())),
            ("labels", labels),
            ("annotations", annotations),
        ])
    })
}

/// A TaskRun; as a child it has its labels, and mostly its times.
fn task_run(name: &str, task: Option<String>) -> BoxedStrategy<Value> {
    let child = task.is_some();
    let times = move || prop_oneof![if child { 60 } else { 8 } => time().prop_map(Some), 1 => Just(None)];
    let spec = (maybe(parameters("value")), maybe(reference()), extras());
    let status = (times(), times(), maybe(conditions()), maybe(results()), maybe(provenance()), ran());
    (metadata(name.to_owned(), "9bea440e-0f16-433a-8049-38b3b099f03a"), spec, status)
        .prop_map(move |(mut metadata, (params, reference, extras), status)| {
            if let Some(task) = &task {
                let labels = metadata.get("labels").cloned().unwrap_or_else(|| json!({}));
                metadata["labels"] = with(labels, json!({"tekton.dev/pipelineTask": task}));
            }
            let (started, done, conditions, results, provenance, (task_spec, steps, sidecars)) = status;
            let spec = object([("params", params), ("taskRef", reference)]);
            let status = object([
                ("podName", Some("pod".into())),
                ("startTime", started),
                ("completionTime", done),
                ("conditions", conditions),
                ("results", results),
                ("provenance", provenance),
                ("taskSpec", task_spec),
                ("steps", Some(steps)),
                ("sidecars", sidecars),
            ]);
            json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": metadata, "spec": with(spec, extras), "status": status})
        })
        .boxed()
}

fn pipeline_task(name: String) -> impl Strategy<Value = Value> {
    let after = select(vec![json!(["t0"]), json!([]), json!(["t0", "t1"])]);
    let used = select(vec![
        "$(tasks.t0.results.note)",
        "$(tasks.t1.results.r[*]) $(tasks.t0.results.o.k)",
        "$(params.p)",
    ]);
    let params = used.prop_map(|used| json!([{"name": "p", "value": used}, {"name": "q", "value": [used]}]));
    let when = select(vec![
        json!([{"input": "$(tasks.t1.results.note)", "operator": "in", "values": ["a"]}]),
        json!([{"cel": "'$(tasks.t0.results.x)' == 'a'"}]),
    ]);
    let matrix = Just(json!({"params": [{"name": "m", "value": ["1", "2"]}]}));
    (maybe(reference()), maybe(after), maybe(params), maybe(when), maybe(matrix)).prop_map(
        move |(reference, after, params, when, matrix)| {
            object([
                ("name", Some(name.clone().into())),
                ("taskRef", reference),
                ("runAfter", after),
                ("params", params),
                ("when", when),
                ("matrix", matrix),
            ])
        },
    )
}

fn pipeline_run() -> impl Strategy<Value = Given> {
    (0..4_usize, 0..3_usize).prop_flat_map(|(regular, last)| {
        let names: Vec<String> =
            (0..regular).map(|at| format!("t{at}")).chain((0..last).map(|at| format!("f{at}"))).collect();
        let tasks: Vec<_> = names.iter().map(|name| pipeline_task(name.clone())).collect();
        let children: Vec<_> = names
            .iter()
            .map(|name| {
                let first = task_run(&format!("run-{name}"), Some(name.clone()));
                let second = task_run(&format!("run-{name}-1"), Some(name.clone()));
                (prop_oneof![1 => Just(0_usize), 6 => Just(1), 2 => Just(2)], first, second).prop_map(
                    |(count, first, second)| [first, second].into_iter().take(count).collect::<Vec<_>>(),
                )
            })
            .collect();
        let spec = (maybe(parameters("value")), maybe(reference()), run_extras());
        let times = || prop_oneof![8 => time().prop_map(Some), 1 => Just(None)];
        let status = (
            times(),
            times(),
            maybe(conditions()),
            maybe(results()),
            maybe(provenance()),
            maybe(parameters("default")),
        );
        let whole = metadata("pipeline".into(), "5f7c2b0a-1111-4222-8333-444455556666");
        (tasks, children, whole, spec, status, 0..12_u8).prop_map(
            move |(tasks, children, metadata, spec, status, lost)| {
                together(
                    regular,
                    tasks,
                    children.into_iter().flatten().collect(),
                    metadata,
                    spec,
                    status,
                    lost != 0,
                )
            },
        )
    })
}

fn run_extras() -> impl Strategy<Value = Value> {
    select(vec![
        json!({}),
        json!({"taskRunTemplate": {"serviceAccountName": "robot"}, "timeouts": {"pipeline": "3600s", "tasks": "0"}}),
        json!({"pipelineSpec": {"tasks": [{"name": "t", "taskSpec": {"steps": [{"image": "i", "timeout": "60m"}]}}]}, "gone": 1}),
        json!({"taskRunSpecs": [{"pipelineTaskName": "t0", "computeResources": {"limits": {"cpu": "2000m"}}}], "status": "Cancelled"}),
    ])
}

type Spec = (Option<Value>, Option<Value>, Value);
type Status = (Option<Value>, Option<Value>, Option<Value>, Option<Value>, Option<Value>, Option<Value>);

fn together(
    regular: usize,
    mut tasks: Vec<Value>,
    task_runs: Vec<Value>,
    metadata: Value,
    (params, reference, extras): Spec,
    (started, done, conditions, results, provenance, defaults): Status,
    has_spec: bool,
) -> Given {
    let last = tasks.split_off(regular);
    let references = task_runs.iter().map(|child| {
        json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": child["metadata"]["name"],
            "pipelineTaskName": child["metadata"]["labels"]["tekton.dev/pipelineTask"]})
    });
    let pipeline = object([
        ("params", defaults),
        ("tasks", Some(Value::Array(tasks))),
        ("finally", (!last.is_empty()).then_some(Value::Array(last))),
    ]);
    let status = object([
        ("startTime", started),
        ("completionTime", done),
        ("conditions", conditions),
        ("results", results),
        ("provenance", provenance),
        ("pipelineSpec", has_spec.then_some(pipeline)),
        ("childReferences", Some(references.collect())),
        ("skippedTasks", Some(json!([{"name": "s", "reason": "r"}]))),
    ]);
    let spec = with(object([("params", params), ("pipelineRef", reference)]), extras);
    let object = json!({"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": metadata, "spec": spec, "status": status});
    Given { object, task_runs }
}
