// The Sigstore Go verifier's verdict on one bundle: exit 0 accepted, 1 refused with the reason, 2 wrong use.
//
//	sigstore-go -bundle FILE -digest sha256:HEX -key PUBLIC-KEY
//	sigstore-go -bundle FILE -digest ALGORITHM:HEX -root TRUSTED-ROOT -identity SAN -issuer URL
package main

import (
	"crypto"
	"encoding/hex"
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
	digest     = flag.String("digest", "", "the artifact's digest, ALGORITHM:HEX")
	keyPath    = flag.String("key", "", "the public key, PEM; without a log entry or timestamp being asked for")
	rootPath   = flag.String("root", "", "the trusted root, for a certificate")
	identity   = flag.String("identity", "", "the certificate's subject alternative name")
	issuer     = flag.String("issuer", "", "who vouches for it")
)

func verifier() (*verify.Verifier, verify.PolicyOption, error) {
	if *keyPath != "" {
		pem, err := os.ReadFile(*keyPath)
		if err != nil {
			return nil, nil, err
		}
		key, err := cryptoutils.UnmarshalPEMToPublicKey(pem)
		if err != nil {
			return nil, nil, err
		}
		load, err := signature.LoadVerifier(key, crypto.SHA256)
		if err != nil {
			return nil, nil, err
		}
		material := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
			return root.NewExpiringKey(load, time.Time{}, time.Time{}), nil
		})
		made, err := verify.NewVerifier(material, verify.WithNoObserverTimestamps())
		return made, verify.WithKey(), err
	}
	material, err := root.NewTrustedRootFromPath(*rootPath)
	if err != nil {
		return nil, nil, err
	}
	who, err := verify.NewShortCertificateIdentity(*issuer, "", *identity, "")
	if err != nil {
		return nil, nil, err
	}
	made, err := verify.NewVerifier(material, verify.WithSignedCertificateTimestamps(1),
		verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
	return made, verify.WithCertificateIdentity(who), err
}

func main() {
	flag.Parse()
	algorithm, text, _ := strings.Cut(*digest, ":")
	sum, err := hex.DecodeString(text)
	if err != nil || *bundlePath == "" {
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
		_, err = verifier.Verify(entity, verify.NewPolicy(verify.WithArtifactDigest(algorithm, sum), who))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("accepted")
}
