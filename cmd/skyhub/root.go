package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Exit codes, the same for every command.
const (
	exitFailed    = 1
	exitUsage     = 2
	exitBadConfig = 78 // EX_CONFIG: systemd must not try again
)

// usageError is a command line that can't be meant.
type usageError struct{ error }

// configError is a configuration that can't be used.
type configError struct{ error }

// run is the program without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "skyhub",
		Short:         "Take the readings of all sites off the broker and store each exactly once",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(runCommand(), sitesCommand(), gapsCommand(), exportCommand(), sendCommand(), keyCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	strictArguments(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, err)
	switch {
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, new(configError)):
		return exitBadConfig
	}
	return exitFailed
}

// strictArguments makes wrong or missing arguments of any command a mistake of usage.
func strictArguments(c *cobra.Command) {
	for _, sub := range c.Commands() {
		strictArguments(sub)
	}
	check := c.Args
	if check == nil {
		check = cobra.NoArgs
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{fmt.Errorf("%w: see %s --help", err, c.CommandPath())}
		}
		return nil
	}
	if c.RunE == nil {
		c.RunE = func(c *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("no command given: see %s --help", c.CommandPath())}
		}
	}
}

// version is what the build recorded.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += " " + s.Value[:12]
		}
	}
	return v
}
