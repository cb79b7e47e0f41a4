//! Any text where the cluster's objects are read.

use proptest::prelude::*;

use super::*;

fn json() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), ".{0,8}".prop_map(Value::from)];
    let key = prop_oneof![
        Just("metadata"),
        Just("status"),
        Just("steps"),
        Just("results"),
        Just("containerStatuses"),
        Just("name"),
        Just("value"),
        Just("managedFields"),
        Just("fieldsV1"),
        Just("f:status"),
        Just("spec"),
        Just("containers"),
        Just("ownerReferences"),
        Just("uid"),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|pairs| pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn a_token_is_read(text in ".{0,200}") {
        let _ = Claims::of_token(&text);
    }

    #[test]
    fn a_run_and_its_pod_are_held_against_each_other(run in json(), pod in json()) {
        let truth = truth::check(&run, Some(&pod));
        prop_assert!(truth.differences.iter().all(|text| !text.contains('\n')));
        let known = so_far(run.clone(), Some(&pod), &[("R".into(), json!("x"))]);
        prop_assert!(known == run || known.is_object());
    }
}
