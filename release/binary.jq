# Turns the list of cargo-cyclonedx into the components of the binary.
#
# That list has crates of features that aren't built, doesn't say that macros run at compile time only, and names
# this crate by the checkout's directory. It also lacks the C library and Rust's library, which a static binary contains.
def name: "\(.name)@\(.version)";
def root: "stepseal";

($built[0]) as $built | ($inside[0]) as $inside
| .metadata.component as $self
| ([.components[] | select(IN(name; $built[])) | {key: ."bom-ref", value: name}] | from_entries) as $kept
| [$linked | split("\n")[] | select(. != "") | split(" ")
    | {type: "library", "bom-ref": .[2], name: .[0], version: .[1], scope: "required", purl: .[2]}
    | if .version == "-" then del(.version) else . end] as $linked
| {
    bomFormat, specVersion, version,
    metadata: (
      (if $timestamp == "" then {} else {$timestamp} end) + {
        lifecycles: [{phase: "build"}],
        tools: .metadata.tools,
        component: ($self | {
          type, "bom-ref": root, name, version, description,
          hashes: [{alg: "SHA-256", content: $sha256}],
          licenses, purl: "pkg:cargo/\(name)", externalReferences
        }),
        properties: .metadata.properties
      }
    ),
    components: (
      [.components[] | select(IN(."bom-ref"; $kept | keys[]))
        | .scope = (if IN(name; $inside[]) then "required" else "excluded" end)]
      + $linked
    ),
    dependencies: (
      [.dependencies[]
        | (if .ref == $self."bom-ref" then .ref = root else select(IN(.ref; $kept | keys[])) end)
        | if .dependsOn then .dependsOn |= map(select(IN(.; $kept | keys[]))) else . end
        | if .ref == root then .dependsOn += ($linked | map(."bom-ref")) else . end]
      + ($linked | map({ref: ."bom-ref"}))
    )
  }
