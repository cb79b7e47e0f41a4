//! The image that a step or a sidecar ran in, by the name that the container runtime gives it.

/// The URI, algorithm and hex digits of `NAME@ALGORITHM:HEX`; `None`: it has no digest.
pub(crate) fn image_of(id: &str) -> Option<(String, String, String)> {
    let (name, digest) = id.split_once('@')?;
    let (algorithm, hex) = digest.split_once(':')?;
    if digest.contains('@') || hex.contains(':') {
        return None;
    }
    let name = name.strip_prefix("docker-pullable://").unwrap_or(name);
    Some((format!("oci://{name}"), algorithm.to_owned(), hex.to_owned()))
}
