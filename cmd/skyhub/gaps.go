package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/link/batch"
	"skyhaul/link/hub"
	"skyhaul/link/hub/sqlite"
)

func gapsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gaps",
		Short: "List what is not here: declared lost, or still missing",
		Long: "Lists the records that a site declared lost, with the reason, and those that were\n" +
			"heard of, because later ones are here, and have not come yet.",
		Example: "  skyhub gaps --db /var/lib/skyhub/skyhub.db --site north-7",
	}
	db := dbFlags(cmd)
	site := cmd.Flags().String("site", "", "only this `SITE`")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := db()
		if err != nil {
			return err
		}
		v, err := openView(cmd.Context(), path)
		if err != nil {
			return err
		}
		defer v.Close()
		rows, err := gaps(cmd.Context(), v, *site)
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(rows)
		}
		return printGaps(cmd.OutOrStdout(), rows)
	}
	return cmd
}

// gapRow is a range that is not here.
type gapRow struct {
	Site     string     `json:"site"`
	Lane     string     `json:"lane"`
	Epoch    string     `json:"epoch"`
	First    uint64     `json:"first"` // 0 where nobody can tell
	Last     uint64     `json:"last"`
	State    string     `json:"state"`  // "lost" or "missing"
	Reason   string     `json:"reason"` // of a loss
	Declared *time.Time `json:"declared_at"`
}

func gaps(ctx context.Context, v *sqlite.View, site string) ([]gapRow, error) {
	sites, err := chosen(ctx, v, site)
	if err != nil {
		return nil, err
	}
	rows := []gapRow{}
	for _, s := range sites {
		lost, err := v.Gaps(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		for _, g := range lost {
			rows = append(rows, gapRow{s.ID, g.Lane.String(), g.Epoch.String(), uint64(g.First), uint64(g.Last), "lost", g.Reason, orNull(g.Declared)})
		}
		m, err := v.Marks(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		rows = append(rows, missing(s.ID, &m)...)
	}
	return rows, nil
}

func missing(site string, m *hub.Marks) (rows []gapRow) {
	for _, g := range m.Missing() {
		rows = append(rows, gapRow{site, g.Lane.String(), g.Epoch.String(), uint64(g.First), uint64(g.Last), "missing", "", nil})
	}
	return rows
}

// records returns how many there are in a range; one at least where nobody can
// tell where it begins.
func records(r batch.Range) uint64 {
	if r.First == 0 {
		return 1
	}
	return uint64(r.Last - r.First + 1)
}

func printGaps(w io.Writer, rows []gapRow) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SITE\tLANE\tEPOCH\tFIRST\tLAST\tRECORDS\tSTATE\tREASON\tDECLARED")
	for _, r := range rows {
		first, count := fmt.Sprint(r.First), fmt.Sprint(r.Last-r.First+1)
		if r.First == 0 {
			first, count = "?", "?"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.Site, r.Lane, r.Epoch, first, r.Last, count, r.State, dash(r.Reason), when(r.Declared))
	}
	return tw.Flush()
}
