package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"skyhaul/link/batch"
)

func keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make the keys under which sites believe their hub",
		Long: "A hub has one master key; the key of each site derives from it and the site's id.\n" +
			"What goes down to a site carries a code made with its key, so that nobody else on\n" +
			"the broker can have it throw readings away or carry out commands.",
	}
	cmd.AddCommand(keyNewCommand(), keySiteCommand())
	return cmd
}

func keyNewCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "new FILE",
		Short:   "Make a new master key",
		Example: "  skyhub key new /etc/credstore/skyhub.master-key",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("new key: %w", err)
			}
			key := make([]byte, 32)
			rand.Read(key)
			_, err = fmt.Fprintln(f, hex.EncodeToString(key))
			return errors.Join(err, f.Sync(), f.Close())
		},
	}
}

func keySiteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "site SITE",
		Short:   "Print the key of a site, for its hub_key_file",
		Example: "  skyhub key site north-7 --key /etc/credstore/skyhub.master-key > hub-key",
		Args:    cobra.ExactArgs(1),
	}
	file := cmd.Flags().String("key", "", "master key `FILE` (required)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *file == "" {
			return usageError{fmt.Errorf("--key FILE is missing: see %s --help", cmd.CommandPath())}
		}
		if !batch.ValidSite(args[0]) {
			return usageError{fmt.Errorf("site %q: 1 to 32 of a-z, 0-9 and -", args[0])}
		}
		master, err := readKey(*file)
		if err != nil {
			return err
		}
		key := batch.SiteKey(master, args[0])
		fmt.Fprintln(cmd.OutOrStdout(), hex.EncodeToString(key[:]))
		return nil
	}
	return cmd
}

// readKey reads a file with 32 bytes in hexadecimal.
func readKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s: a key is 64 hexadecimal digits; make one with skyhub key new FILE", path)
	}
	return key, nil
}
