//! What the generated table is made of: fields, and the kinds of value that they hold.

/// The fields of a Go struct, in the order in which Go writes them; embedded structs are in their place.
#[derive(Debug)]
pub(super) struct Fields(pub(super) &'static [Field]);

/// One field of a Go struct.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in JSON.
    pub(super) name: &'static str,
    /// Whether it is written when there is nothing in it.
    pub(super) empty: Empty,
    /// What it holds.
    pub(super) kind: Kind,
}

/// Whether a field is written when there is nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    /// Always written.
    Kept,
    /// `omitempty`: not for false, 0, nil, an empty text, list or map. Of a struct it has no effect in Go.
    Omitted,
    /// `omitzero`: not for the type's zero value.
    ZeroOmitted,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Kind {
    /// `bool`
    Bool,
    /// A signed integer of so many bits.
    Int(u32),
    /// `string`, or a type made of it.
    Text,
    /// A pointer; nil is null in JSON.
    Pointer(&'static Kind),
    /// A slice; nil is null in JSON.
    List(&'static Kind),
    /// A map with text as its keys; nil is null in JSON.
    Map(&'static Kind),
    /// A struct.
    Struct(&'static Fields),
    /// A type that reads and writes itself.
    Own(Own),
}

/// The types that read and write themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// `metav1.Time`: seconds, UTC; null when zero.
    Time,
    /// `metav1.Duration`: `1m30s`.
    Duration,
    /// `resource.Quantity`: `500m`, `1Gi`.
    Quantity,
    /// `intstr.IntOrString`
    IntOrString,
    /// Tekton's `ParamValue`, which results have too: a text, a list of texts or a map of texts.
    ParamValue,
    /// `runtime.RawExtension` and the like: any JSON, kept as it is.
    Raw,
}
