use super::*;
use crate::oci::Digest;

fn image(number: usize) -> Listed {
    let digest = Digest::of(&number.to_be_bytes());
    Listed::Image(ImageRef { repository: "registry.example/app".parse().unwrap(), digest })
}

fn unusable(number: usize) -> Listed {
    Listed::Unusable(EntryError::NoDigest { index: "registry.example/app".to_owned(), number })
}

/// The limit applies to all indexes together, whatever they list.
#[test]
fn the_limit_covers_all_indexes_and_counts_unusable_entries() {
    let mut admitted = AdmittedImages { known: HashSet::new(), unusable: 0 };
    let mut admit = |children: Vec<Listed>| admitted.admit(children).map(|new| new.len());
    assert_eq!(admit((0..MAX_IMAGES - 1000).map(unusable).collect()), Ok(MAX_IMAGES - 1000));
    for _ in 0..10 {
        assert_eq!(admit((0..1001).map(unusable).collect()), Err(TooMany));
        assert_eq!(admit((0..1001).map(image).collect()), Err(TooMany));
    }
    assert_eq!(admit((0..999).map(image).collect()), Ok(999));
    assert_eq!(admit((0..999).map(image).collect()), Ok(0), "known images count once");
    assert_eq!(admit(vec![unusable(1)]), Ok(1));
    assert_eq!(admit(vec![image(2000)]), Err(TooMany));
}
