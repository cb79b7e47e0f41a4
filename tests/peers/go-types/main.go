// Command go-types answers for Tekton's Go types, which src/run/go_types has to follow.
//
//	go-types schema       prints the Rust table of the types: src/run/go_types/schema.rs
//	go-types normalise    reads lines {"type": NAME, "value": JSON} and answers each with {"ok": JSON} or
//	                      {"error": TEXT}: what encoding/json makes of the value, read into the type and written again
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "schema":
			end(schema(os.Stdout))
			return
		case "normalise":
			end(normalise(os.Stdin, os.Stdout))
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: go-types schema|normalise")
	os.Exit(2)
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "go-types:", err)
		os.Exit(1)
	}
}
