package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"skyhaul/config"
	"skyhaul/edge/profile"
	"skyhaul/modbus"
)

func initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first configuration and its tag list",
		Long: "Writes skyhaul.toml and points.csv. A tag list of yours is read as it is: any\n" +
			"encoding, separator and decimal mark of a spreadsheet, headings in several\n" +
			"languages, addresses in any notation. What was understood of it is printed, and\n" +
			"what is wrong with it or can be read two ways; nothing is guessed. Then the files\n" +
			"are written, one list for each unit, with a number for every point that has none.\n" +
			"Files that are there are never overwritten.",
		Example: "  skyhaul init --dir site-7 --from 'Tag list rev C.csv'\n" +
			"  skyhaul init --dir site-7 --from registers.txt --addresses zero-based --unit 17\n" +
			"  skyhaul init --profile list",
	}
	from := cmd.Flags().String("from", "", "tag list `LIST.csv`")
	addresses := cmd.Flags().String("addresses", "", "how the list counts, where it does not tell: modicon, zero-based or one-based")
	unit := cmd.Flags().Uint8("unit", 1, "unit `ID` of points whose list has no column for it")
	known := cmd.Flags().String("profile", "", "`NAME` of a known instrument; list prints all")
	dir := cmd.Flags().String("dir", ".", "`DIR` to write into")
	reference := cmd.Flags().Bool("reference", false, "print every key with its default instead")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case *reference:
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.Reference)
			return err
		case *known == "list":
			return printProfiles(cmd.OutOrStdout())
		case *known != "" && *from != "":
			return usageError{fmt.Errorf("give --from or --profile: what a list names can be added to a profile later")}
		case *known != "":
			return initProfile(cmd.OutOrStdout(), *dir, *known)
		case !slices.Contains([]string{"", "modicon", "zero-based", "one-based"}, *addresses):
			return usageError{fmt.Errorf("--addresses %s: say modicon, zero-based or one-based", *addresses)}
		case *unit < 1 || *unit > 247:
			return usageError{fmt.Errorf("--unit %d: 1 to 247", *unit)}
		case *from == "":
			list := config.ImportedList{File: "points.csv", Text: []byte(config.StarterPoints)}
			return writeSite(cmd.OutOrStdout(), *dir, config.Starter, []config.ImportedList{list}, "one point to show the columns")
		}
		im, err := config.ReadImport(*from, config.ImportOptions{Addresses: *addresses, Unit: modbus.UnitID(*unit)})
		if im != nil {
			if err := im.Explain(cmd.OutOrStdout()); err != nil {
				return err
			}
		}
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return err
		}
		if err != nil {
			return configError{err}
		}
		return writeSite(cmd.OutOrStdout(), *dir, im.Config, im.Lists, fmt.Sprintf("%d points", im.Points))
	}
	return cmd
}

// initProfile writes a first configuration of one known instrument.
func initProfile(w io.Writer, dir, name string) error {
	p, err := profile.Get(name)
	if err != nil {
		return usageError{err}
	}
	text, lists := config.ForProfile(p)
	said := "one " + p.Title
	if p.Template {
		said = "addresses to be filled in"
	}
	fmt.Fprintf(w, "%s, confidence %s\nsource: %s\n", p.Title, p.Confidence, p.Source)
	for _, n := range p.Notes {
		fmt.Fprintf(w, "! %s\n", n)
	}
	return writeSite(w, dir, text, lists, said)
}

// printProfiles lists what is known.
func printProfiles(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "PROFILE\tINSTRUMENT\tPOINTS\tCONFIDENCE\n")
	for _, name := range profile.Names() {
		p, err := profile.Get(name)
		if err != nil {
			return err
		}
		confidence := string(p.Confidence)
		if p.Template {
			confidence = "template: addresses are yours"
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\n", name, strings.Join(append([]string{p.Title}, p.Covers...), "; "), len(p.Unit["point"].([]any)), confidence)
	}
	return tw.Flush()
}

// writeSite writes a configuration and its tag lists, all of them or none where
// one of them is there already.
func writeSite(w io.Writer, dir, text string, lists []config.ImportedList, said string) error {
	files := append(slices.Clone(lists), config.ImportedList{File: "skyhaul.toml", Text: []byte(text)})
	var paths []string
	for _, f := range files {
		path := filepath.Join(dir, f.File)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already and is left as it is: give another --dir", path)
		}
		paths = append(paths, path)
	}
	for i, f := range files {
		if err := writeNew(paths[i], f.Text); err != nil {
			return err
		}
	}
	file := paths[len(paths)-1]
	wrote := file
	if len(lists) > 0 {
		wrote = strings.Join(paths[:len(lists)], ", ") + " (" + said + ") and " + file
	}
	_, err := fmt.Fprintf(w, "wrote %s\nnow edit them, then: skyhaul check --config %s\n", wrote, file)
	return err
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
