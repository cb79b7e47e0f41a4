# Turns the SBOM of the binary into the SBOM of the image, which holds only the binary.
#
# It repeats the components of the binary, so that a scanner needs only this document. A reference names the binary's SBOM.
(($image | capture("^(?<name>.+)@(?<digest>sha256:(?<hex>[0-9a-f]{64}))$")) // error("\($image) is not NAME@sha256:HEX")) as $at
| (.serialNumber | ltrimstr("urn:uuid:")) as $serial
| .metadata.component as $binary
| {
    bomFormat, specVersion, version,
    metadata: (
      (if $timestamp == "" then {} else {$timestamp} end) + {
        lifecycles: .metadata.lifecycles,
        tools: .metadata.tools,
        component: {
          type: "container", "bom-ref": "image", name: $at.name, version: $at.digest,
          hashes: [{alg: "SHA-256", content: $at.hex}],
          licenses: $binary.licenses,
          purl: "pkg:oci/\($at.name | split("/") | last)@\($at.digest | @uri)?repository_url=\($at.name)"
        },
        properties: .metadata.properties
      }
    ),
    components: (
      [$binary | .externalReferences += [{
        type: "bom",
        url: "urn:cdx:\($serial)/1#\($binary."bom-ref")",
        hashes: [{alg: "SHA-256", content: $sha256}]
      }]] + .components
    ),
    dependencies: ([{ref: "image", dependsOn: [$binary."bom-ref"]}] + .dependencies)
  }
