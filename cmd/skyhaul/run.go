package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"skyhaul/config"
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
		Use:           "skyhaul",
		Short:         "Get every reading off a remote site, over a link that is slow, costly and mostly closed",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Example:       "  skyhaul init && skyhaul check --config skyhaul.toml",
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(daemonCommands()...)
	root.AddCommand(
		checkCommand(), initCommand(), bufferCommand(), simCommand(), codecCommand(), windowCommand(), installCommand(), modbusCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	strictArguments(root)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, syscall.EPIPE):
		return exitFailed // who reads has gone, as head does: nobody to tell
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

// configFlag adds --config to a command and returns what loads it.
func configFlag(cmd *cobra.Command) func() (*config.Config, error) {
	path := cmd.Flags().String("config", "", "configuration `FILE` (required)")
	return func() (*config.Config, error) {
		if *path == "" {
			return nil, usageError{fmt.Errorf("--config FILE is missing: see %s --help", cmd.CommandPath())}
		}
		c, err := config.Load(*path)
		if err != nil {
			return nil, configError{err}
		}
		return c, nil
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
