// What skopeo, podman and CRI-O decide about an image by a policy.json: exit 0 allowed, 1 refused with the reason, 2 no verdict.
//
//	image-policy -policy FILE -registries-d FOLDER -authfile FILE HOST/NAME@DIGEST
//
// It is their library, github.com/containers/image; skopeo itself can't be had as a Go module, and Debian's
// leaves sigstoreSigned out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/image"
	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/types"
)

var (
	policyPath  = flag.String("policy", "", "containers-policy.json")
	registriesD = flag.String("registries-d", "", "folder of containers-registries.d")
	authfile    = flag.String("authfile", "", "the registry's credentials")
)

// What decides, and the image; an error is no verdict.
func open(ctx context.Context, name string) (*signature.PolicyContext, types.ImageSource, error) {
	policy, err := signature.NewPolicyFromFile(*policyPath)
	if err != nil {
		return nil, nil, err
	}
	decide, err := signature.NewPolicyContext(policy)
	if err != nil {
		return nil, nil, err
	}
	reference, err := docker.ParseReference("//" + name)
	if err != nil {
		return nil, nil, err
	}
	source, err := reference.NewImageSource(ctx, &types.SystemContext{
		RegistriesDirPath:           *registriesD,
		AuthFilePath:                *authfile,
		SystemRegistriesConfPath:    os.DevNull,
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
	})
	return decide, source, err
}

func main() {
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx := context.Background()
	decide, source, err := open(ctx, flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if _, err := decide.IsRunningImageAllowed(ctx, image.UnparsedInstance(source, nil)); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("allowed")
}
