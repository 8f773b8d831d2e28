package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"skyhaul/systemd"
)

func installCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Write the systemd unit, its user, the udev rules and a sample configuration",
		Long: "Writes files only, below --root: it starts nothing and makes no user.\n" +
			"A configuration that is there is left alone.",
		Example: "  skyhaul install --root /",
	}
	root := cmd.Flags().String("root", "", "`DIR` that stands for / (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *root == "" {
			return usageError{fmt.Errorf("--root DIR is missing: --root / installs on this machine")}
		}
		files, err := systemd.Install(*root)
		for _, f := range files {
			fmt.Fprintln(cmd.OutOrStdout(), f)
		}
		return err
	}
	return cmd
}
