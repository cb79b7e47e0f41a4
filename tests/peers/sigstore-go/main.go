// The Sigstore Go verifier's verdict on one bundle: exit 0 accepted, 1 refused with the reason, 2 wrong use.
//
//	sigstore-go -bundle FILE -certificate-identity SAN -certificate-oidc-issuer URL -trusted-root FILE ARTIFACT
//	sigstore-go -bundle FILE -key PUBLIC-KEY [-trusted-root FILE | -insecure-ignore-tlog] ARTIFACT
//
// ARTIFACT is a file or ALGORITHM:HEX. The flags are those of `verify-blob`, so that both are asked with the same words.
package main

import (
	"crypto"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

var (
	bundlePath = flag.String("bundle", "", "the bundle")
	keyPath    = flag.String("key", "", "the public key, PEM")
	rootPath   = flag.String("trusted-root", "", "the logs and authorities that are believed")
	identity   = flag.String("certificate-identity", "", "the certificate's subject alternative name")
	identityRE = flag.String("certificate-identity-regexp", "", "an expression that it matches")
	issuer     = flag.String("certificate-oidc-issuer", "", "who vouches for it")
	issuerRE   = flag.String("certificate-oidc-issuer-regexp", "", "an expression that it matches")
	ignoreTlog = flag.Bool("insecure-ignore-tlog", false, "demand no log entry, and look at none")
	ignoreSCT  = flag.Bool("insecure-ignore-sct", false, "demand no proof that the certificate was logged")
	_          = flag.Bool("allow-certificate-chain", false, "nothing: this version of the library always refuses a chain in a bundle 0.3")
	hash       = flag.String("signature-digest-algorithm", "sha256", "the hash that a key signs; a certificate's key has its own")
	timestamps = flag.Bool("use-signed-timestamps", false, "demand an RFC 3161 timestamp")
)

func artifact() (verify.ArtifactPolicyOption, error) {
	if flag.NArg() != 1 || *bundlePath == "" {
		return nil, errors.New("a bundle and one artifact are needed")
	}
	if algorithm, text, found := strings.Cut(flag.Arg(0), ":"); found {
		if sum, err := hex.DecodeString(text); err == nil {
			return verify.WithArtifactDigest(algorithm, sum), nil
		}
	}
	file, err := os.Open(flag.Arg(0))
	return verify.WithArtifact(file), err
}

// What the key says, at any time: it has no window.
func keyMaterial() (root.TrustedMaterial, error) {
	pem, err := os.ReadFile(*keyPath)
	if err != nil {
		return nil, err
	}
	key, err := cryptoutils.UnmarshalPEMToPublicKey(pem)
	if err != nil {
		return nil, err
	}
	hashes := map[string]crypto.Hash{"sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}
	load, err := signature.LoadVerifier(key, hashes[*hash])
	if err != nil {
		return nil, err
	}
	return root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(load, time.Time{}, time.Time{}), nil
	}), nil
}

func verifier() (*verify.Verifier, verify.PolicyOption, error) {
	var material root.TrustedMaterialCollection
	if *rootPath != "" {
		trusted, err := root.NewTrustedRootFromPath(*rootPath)
		if err != nil {
			return nil, nil, err
		}
		material = append(material, trusted)
	}
	var options []verify.VerifierOption
	if !*ignoreTlog {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if *timestamps {
		options = append(options, verify.WithSignedTimestamps(1))
	}
	if *keyPath != "" {
		key, err := keyMaterial()
		if err != nil {
			return nil, nil, err
		}
		if !*timestamps {
			options = append(options, verify.WithNoObserverTimestamps())
		}
		made, err := verify.NewVerifier(append(material, key), options...)
		return made, verify.WithKey(), err
	}
	who, err := verify.NewShortCertificateIdentity(*issuer, *issuerRE, *identity, *identityRE)
	if err != nil {
		return nil, nil, err
	}
	if !*ignoreSCT {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	if !*timestamps {
		options = append(options, verify.WithObserverTimestamps(1))
	}
	made, err := verify.NewVerifier(material, options...)
	return made, verify.WithCertificateIdentity(who), err
}

func main() {
	flag.Parse()
	artifact, err := artifact()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		flag.Usage()
		os.Exit(2)
	}
	verifier, who, err := verifier()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	entity, err := bundle.LoadJSONFromPath(*bundlePath)
	if err == nil {
		_, err = verifier.Verify(entity, verify.NewPolicy(artifact, who))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("accepted")
}
