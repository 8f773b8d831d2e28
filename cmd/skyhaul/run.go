package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

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
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("no command given: see skyhaul --help")}
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(daemonCommands()...)
	root.AddCommand(
		checkCommand(), initCommand(), bufferCommand(), simCommand(), codecCommand(), windowCommand(), installCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	noArguments(root)
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

// noArguments makes wrong arguments of every command a mistake of usage.
func noArguments(root *cobra.Command) {
	for _, c := range root.Commands() {
		noArguments(c)
		check := c.Args
		c.Args = func(cmd *cobra.Command, args []string) error {
			if check == nil {
				check = cobra.NoArgs
			}
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
		if c.RunE == nil {
			c.RunE = func(cmd *cobra.Command, _ []string) error {
				return usageError{fmt.Errorf("no command given: see %s --help", cmd.CommandPath())}
			}
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
