package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"skyhaul/config"
)

func initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first configuration and its tag list",
		Long: "Writes skyhaul.toml and points.csv. From a tag list of yours it makes points.csv\n" +
			"with the columns named and ordered as here, and a number for every point that\n" +
			"has none. Files that are there are never overwritten.",
		Example: "  skyhaul init --dir site-7 --from 'Tag list rev C.csv'",
	}
	from := cmd.Flags().String("from", "", "tag list `LIST.csv`")
	dir := cmd.Flags().String("dir", ".", "`DIR` to write into")
	reference := cmd.Flags().Bool("reference", false, "print every key with its default instead")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *reference {
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.Reference)
			return err
		}
		points, said := []byte(config.StarterPoints), "one point to show the columns"
		if *from != "" {
			text, err := os.ReadFile(*from)
			if err != nil {
				return err
			}
			out, n, numbered, err := config.Canonical(filepath.Base(*from), text)
			if err != nil {
				return configError{err}
			}
			points, said = out, fmt.Sprintf("%d points, %d of them numbered now", n, numbered)
		}
		list, file := filepath.Join(*dir, "points.csv"), filepath.Join(*dir, "skyhaul.toml")
		for _, path := range []string{list, file} {
			if _, err := os.Lstat(path); err == nil {
				return fmt.Errorf("%s is there already and is left as it is: give another --dir", path)
			}
		}
		if err := writeNew(list, points); err != nil {
			return err
		}
		if err := writeNew(file, []byte(config.Starter)); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "wrote %s (%s) and %s\nnow edit them, then: skyhaul check --config %[3]s\n", list, said, file)
		return nil
	}
	return cmd
}

// writeNew writes a file that must not be there yet.
func writeNew(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
