//go:build !unix

package main

import "github.com/spf13/cobra"

// daemonCommands are those that only the appliance has.
func daemonCommands() []*cobra.Command { return nil }
