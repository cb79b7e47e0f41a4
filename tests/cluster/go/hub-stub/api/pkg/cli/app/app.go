// Package app stands in for the Tekton hub's client, a fork that cannot be had by name; tkn needs it only for "tkn hub".
package app

// CLI carries nothing.
type CLI struct{}

// New returns an empty CLI.
func New() *CLI { return &CLI{} }
