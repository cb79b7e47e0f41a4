// What skopeo, podman and CRI-O decide about an image by a policy.json: exit 0 allowed, 1 refused with the reason, 2 wrong use.
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

func allowed(ctx context.Context, name string) error {
	policy, err := signature.NewPolicyFromFile(*policyPath)
	if err != nil {
		return err
	}
	decide, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer decide.Destroy()
	reference, err := docker.ParseReference("//" + name)
	if err != nil {
		return err
	}
	system := &types.SystemContext{
		RegistriesDirPath:           *registriesD,
		AuthFilePath:                *authfile,
		SystemRegistriesConfPath:    os.DevNull,
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
	}
	source, err := reference.NewImageSource(ctx, system)
	if err != nil {
		return err
	}
	defer source.Close()
	_, err = decide.IsRunningImageAllowed(ctx, image.UnparsedInstance(source, nil))
	return err
}

func main() {
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := allowed(context.Background(), flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("allowed")
}
